package daemon

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/metrics"
)

// tally counts events, for the metrics. Its size depends on the number of instances, not on that of real servers.
type tally struct {
	mu   sync.Mutex
	seen map[tallied]uint64
}

// tallied are the events that are counted together.
type tallied struct {
	kind        event.Kind
	subject, to string // see metrics.EventCount
}

// counting returns record with the events counted before.
func (t *tally) counting(record func(event.Event)) func(event.Event) {
	return func(e event.Event) {
		t.count(e)
		record(e)
	}
}

func (t *tally) count(e event.Event) {
	of := tallied{kind: e.Kind}
	switch e.Kind {
	case event.InstanceState:
		of.subject, of.to = e.Subject, e.To
	case event.HookEnded:
		of.to = e.To
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[tallied]uint64{}
	}
	t.seen[of]++
}

// counts returns the counts, in order.
func (t *tally) counts() []metrics.EventCount {
	t.mu.Lock()
	seen := maps.Clone(t.seen) // elections wait for the lock
	t.mu.Unlock()
	all := make([]metrics.EventCount, 0, len(seen))
	for of, n := range seen {
		all = append(all, metrics.EventCount{Kind: of.kind, Subject: of.subject, To: of.to, Count: n})
	}
	slices.SortFunc(all, func(a, b metrics.EventCount) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.To, b.To))
	})
	return all
}
