package metrics

import (
	"io"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// ContentType is that of what Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Type is a type of metrics of Prometheus.
type Type string

// The types that are used.
const (
	Gauge     Type = "gauge"
	Counter   Type = "counter"
	Histogram Type = "histogram"
)

// Family is a set of metrics with one name.
type Family struct {
	Name   string
	Type   Type
	Role   problem.Role // of the daemons that have it
	Labels []string
	Help   string // without a period at the end
	// samples writes the samples of a daemon; none if it has nothing of the kind.
	samples func(w *writer, n *Node)
}

// Node is what the metrics of a daemon are made from.
type Node struct {
	Head      status.Head
	GoVersion string
	Started   time.Time // of the daemon
	Events    []EventCount
	Loops     []LoopCount
	Director  *Director     // nil: it is none
	Agent     *status.Agent // nil: it is none
}

// EventCount is how many events of a kind there have been since the start of the daemon.
type EventCount struct {
	Kind    event.Kind
	Subject string // of changes of the state of an instance: its name; otherwise ""
	To      string // of these, and of hooks that have ended; otherwise ""
	Count   uint64
}

// LoopCount is how often a loop has made progress.
type LoopCount struct {
	Name  string
	Beats uint64
}

// Director is the part of a director.
type Director struct {
	Status status.Director
	// Leases is what is left of the lease of the virtual addresses of an instance, by its name; absent: it holds none.
	Leases map[string]time.Duration
	// Checks is nil if the checker has not answered in time.
	Checks *Checks
}

// Checks are the results of all checks since they were added.
type Checks struct {
	Servers   []CheckCount
	Durations []Durations
}

// CheckCount is the results of the checks of a real server or a track.
type CheckCount struct {
	VirtualServer, RealServer string
	Track                     string // instead of these two
	Good, Bad, Inconclusive   uint64
	Took                      time.Duration // the longest of the last results of its checks; 0 before the first
}

// Durations is a histogram of how long the checks of a kind took.
type Durations struct {
	Type    string
	Buckets []Bucket
	Sum     time.Duration
}

// Bucket counts what was at most as long as its bound, and longer than the bound of the previous one. The last one has the bound
// 0, which means unbounded.
type Bucket struct {
	Bound time.Duration
	Count uint64
}

// Families returns all families, in the order in which they are written.
func Families() []Family {
	all := nodeFamilies()
	all = append(all, instanceFamilies()...)
	all = append(all, segmentFamilies()...)
	all = append(all, virtualServerFamilies()...)
	all = append(all, realServerFamilies()...)
	all = append(all, checkFamilies()...)
	all = append(all, syncFamilies()...)
	return append(all, agentFamilies()...)
}

// Write writes the metrics of a daemon, in pieces of some ten kilobytes. The error is that of to.
func Write(to io.Writer, n Node) error {
	role := problem.Agent
	if n.Director != nil {
		role = problem.Director
	}
	w := writer{to: to, buffer: make([]byte, 0, flushAt+flushAt/4)}
	for _, f := range Families() {
		if f.Role == problem.Both || f.Role == role {
			w.family, w.begun = f, false
			f.samples(&w, &n)
		}
	}
	w.flush()
	return w.err
}
