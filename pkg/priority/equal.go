package priority

import (
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// addressDecides is what comes of equal priorities.
const addressDecides = "the one that is MASTER stays it; if both become MASTER at once, the higher address wins"

// equal are two routers, by their index, that have the same priority while everything is in order.
type equal struct {
	one, other int
	priority   uint8
}

func (w world) equals() []equal {
	var all []equal
	standings := w.standings(w.inOrder())
	for n := range w.routers {
		for o := range n {
			if standings[n].priority == standings[o].priority {
				all = append(all, equal{o, n, standings[n].priority})
			}
		}
	}
	return all
}

// undecided warns of equal priorities, by which no director takes the virtual addresses back, where the file says that one
// does. Package config warns of two address owners, and of equal priorities in sync groups.
func undecided(cfg *config.Config) config.Problems {
	var all config.Problems
	for _, i := range cfg.Instances {
		w := worldOf(cfg, i)
		for _, e := range w.equals() {
			one, other := w.routers[e.one], w.routers[e.other]
			grouped := one.configured == other.configured && slices.ContainsFunc(cfg.SyncGroups, func(g config.SyncGroup) bool {
				return len(g.Instances) > 1 && slices.Contains(g.Instances, i.Name)
			})
			if e.priority == Owner || grouped || !one.preempt && !other.preempt {
				continue
			}
			warning := cfg.Problem(other.priorityAt, fmt.Sprintf("%s and %s have the same priority, %d, with preempt: true: %s", one.name, other.name, e.priority, addressDecides),
				"give the one that is to have the virtual addresses a higher priority; or write preempt: false if either may have them")
			warning.Warning = true
			all = append(all, warning)
		}
	}
	return all
}
