package metrics

import (
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// nodeFamilies are those of the daemon as a whole.
func nodeFamilies() []Family {
	return append([]Family{
		{
			Name: "lvs_build_info", Type: Gauge, Role: problem.Both, Labels: []string{"version", "goversion", "role", "node"},
			Help:    "Always 1; the version of the daemon, and its name in the cluster file",
			samples: func(w *writer, n *Node) { w.count(1, n.Head.Version, n.GoVersion, n.Head.Role, n.Head.Node) },
		},
		{
			Name: "lvs_start_timestamp_seconds", Type: Gauge, Role: problem.Both,
			Help:    "When the daemon started",
			samples: func(w *writer, n *Node) { w.moment(n.Started) },
		},
		{
			Name: "lvs_config_info", Type: Gauge, Role: problem.Both, Labels: []string{"digest"},
			Help:    "Always 1; the digest of the cluster file that runs",
			samples: func(w *writer, n *Node) { w.count(1, n.Head.ConfigDigest) },
		},
		{
			Name: "lvs_problems", Type: Gauge, Role: problem.Both, Labels: []string{"code", "severity"},
			Help:    "Current problems by code, also the codes that there are none of; lvsctl status has their text and what to do",
			samples: problems,
		},
		{
			Name: "lvs_events_total", Type: Counter, Role: problem.Both, Labels: []string{"kind"},
			Help:    "Events since the start of the daemon by kind, such as reload_applied and reload_refused",
			samples: events,
		},
		{
			Name: "lvs_hook_runs_total", Type: Counter, Role: problem.Director, Labels: []string{"result"},
			Help: "Hooks that have ended, by result",
			samples: func(w *writer, n *Node) {
				for _, result := range []string{event.HookOK, event.HookFailed} {
					w.count(n.counted(func(e EventCount) bool { return e.Kind == event.HookEnded && e.To == result }), result)
				}
			},
		},
	}, processFamilies()...)
}

// processFamilies are about the process.
func processFamilies() []Family {
	return []Family{
		{
			Name: "lvs_loop_heartbeats_total", Type: Counter, Role: problem.Both, Labels: []string{"loop"},
			Help: "How often each loop of the daemon has made progress; at least once a second",
			samples: func(w *writer, n *Node) {
				for _, l := range n.Loops {
					w.count(l.Beats, l.Name)
				}
			},
		},
		{
			Name: "go_goroutines", Type: Gauge, Role: problem.Both, Help: "Goroutines of the daemon",
			samples: func(w *writer, n *Node) {
				if p := n.Head.Process; p != nil {
					w.number(p.Goroutines)
				}
			},
		},
		{
			Name: "go_memstats_heap_alloc_bytes", Type: Gauge, Role: problem.Both, Help: "Objects on the heap, also those that are not collected yet",
			samples: func(w *writer, n *Node) {
				if p := n.Head.Process; p != nil {
					w.count(p.HeapBytes)
				}
			},
		},
		{
			Name: "go_memstats_sys_bytes", Type: Gauge, Role: problem.Both, Help: "Memory that the runtime has obtained from the system",
			samples: func(w *writer, n *Node) {
				if p := n.Head.Process; p != nil {
					w.count(p.TotalBytes)
				}
			},
		},
	}
}

// counted adds up the events that are meant.
func (n *Node) counted(meant func(EventCount) bool) (total uint64) {
	for _, e := range n.Events {
		if meant(e) {
			total += e.Count
		}
	}
	return total
}

func events(w *writer, n *Node) {
	for _, kind := range event.Kinds() {
		if kind != event.EventsLost { // it is for one reader only
			w.count(n.counted(func(e EventCount) bool { return e.Kind == kind }), string(kind))
		}
	}
}

// problems writes the number of problems of each code that this daemon may report.
func problems(w *writer, n *Node) {
	role := problem.Agent
	if n.Director != nil {
		role = problem.Director
	}
	have := map[problem.Code]int{}
	for _, p := range n.Head.ProblemDetails {
		have[p.Code]++
	}
	for _, d := range problem.Declared().All() {
		if d.Role == problem.Both || d.Role == role {
			w.number(have[d.Code], string(d.Code), string(d.Severity))
		}
	}
}
