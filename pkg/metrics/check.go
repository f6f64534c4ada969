package metrics

import "github.com/lvs-director/lvs-director/pkg/problem"

// eachCount returns the samples of a family with some for each subject of checks: a real server, or a track.
func eachCount(track bool, f func(w *writer, c *CheckCount)) func(*writer, *Node) {
	return func(w *writer, n *Node) {
		if n.Director.Checks == nil {
			return
		}
		for i := range n.Director.Checks.Servers {
			if c := &n.Director.Checks.Servers[i]; (c.Track != "") == track {
				f(w, c)
			}
		}
	}
}

func checkFamilies() []Family {
	return []Family{
		{
			Name: "lvs_check_results_total", Type: Counter, Role: problem.Director, Labels: []string{"virtual_server", "real_server", "result"},
			Help: "Results of all checks of the real server since they were added; inconclusive ones say nothing about it",
			samples: eachCount(false, func(w *writer, c *CheckCount) {
				w.count(c.Good, c.VirtualServer, c.RealServer, "good")
				w.count(c.Bad, c.VirtualServer, c.RealServer, "bad")
				w.count(c.Inconclusive, c.VirtualServer, c.RealServer, "inconclusive")
			}),
		},
		{
			Name: "lvs_check_last_duration_seconds", Type: Gauge, Role: problem.Director, Labels: ofRealServer,
			Help:    "How long the last check of the real server took; of several the longest",
			samples: eachCount(false, func(w *writer, c *CheckCount) { w.seconds(c.Took, c.VirtualServer, c.RealServer) }),
		},
		{
			Name: "lvs_check_duration_seconds", Type: Histogram, Role: problem.Director, Labels: []string{"type"},
			Help: "How long checks took, of all real servers and tracks together, by the type of the check",
			samples: func(w *writer, n *Node) {
				if n.Director.Checks == nil {
					return
				}
				for _, d := range n.Director.Checks.Durations {
					w.histogram(d.Buckets, d.Sum, d.Type)
				}
			},
		},
		{
			Name: "lvs_track_check_results_total", Type: Counter, Role: problem.Director, Labels: []string{"track", "result"},
			Help: "Results of the check of a track since it was added",
			samples: eachCount(true, func(w *writer, c *CheckCount) {
				w.count(c.Good, c.Track, "good")
				w.count(c.Bad, c.Track, "bad")
				w.count(c.Inconclusive, c.Track, "inconclusive")
			}),
		},
	}
}
