package director

import (
	"context"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// measureWithin limits the wait for the checker, whose loop answers at once unless it is stalled.
const measureWithin = time.Second

// Metrics returns what the metrics of this director are made from. It may be called from any goroutine. It asks the kernel nothing:
// the content of the table is what the table loop has read last, the problems are those of the problem monitor's last look.
func (d *Director) Metrics(ctx context.Context) metrics.Node {
	doc := d.problems.last()
	doc.Node, doc.Role, doc.Version, doc.Process = d.o.Node.Name, "director", d.o.Version, process()
	onWallClock(&doc, time.Now())
	n := metrics.Node{Head: doc.Head, Director: &metrics.Director{Status: doc}}
	l := d.loops.Load()
	if l == nil {
		return n
	}
	n.Director.Leases = d.leases(l)
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	if totals, err := l.checker.Totals(ctx); err == nil {
		n.Director.Checks = checkCounts(totals)
	}
	return n
}

// leases returns what is left of the leases of the VIPs, by the names of their instances.
func (d *Director) leases(l *loops) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, i := range d.plan.Load().Instances {
		if left, held := l.addresses.Left(i.ID); held {
			all[i.Config.Name] = left
		}
	}
	return all
}

// last returns the status document without its header fields, from what the loops have published: it reads nothing from the kernel, and
// waits for no examination.
func (m *problemMonitor) last() status.Director {
	s := m.look(withPools)
	s.counted = s.known // by the table loop's last read
	doc := report(s)
	if m.found.Load() == nil { // the daemon has just begun
		m.examine(nodeOnly)
	}
	doc.ProblemDetails = *m.found.Load()
	return doc
}

func checkCounts(t checker.Totals) *metrics.Checks {
	all := &metrics.Checks{Servers: make([]metrics.CheckCount, 0, len(t.Subjects))}
	for _, s := range t.Subjects {
		all.Servers = append(all.Servers, metrics.CheckCount{
			VirtualServer: s.Subject.Server.Service, RealServer: s.Subject.Server.Server, Track: string(s.Subject.Track),
			Good: s.Good, Bad: s.Bad, Inconclusive: s.Inconclusive, Took: s.Took,
		})
	}
	for _, d := range t.Durations {
		h := metrics.Durations{Type: string(d.Type), Sum: d.Sum}
		for bound, count := range d.Buckets {
			h.Buckets = append(h.Buckets, metrics.Bucket{Bound: bound, Count: count})
		}
		all.Durations = append(all.Durations, h)
	}
	return all
}
