package config

import (
	"maps"
	"slices"
	"time"
)

// maxDeafDelay is more than any spanning tree takes.
const maxDeafDelay = 10 * time.Minute

func deafDelayField() key[instance] {
	return &field[instance, time.Duration]{
		name: "deaf_delay", kind: durationIn(0, maxDeafDelay), in: func(i *instance) *time.Duration { return &i.DeafDelay }, def: 10 * time.Second,
		doc: "how long at most the director does not become MASTER while no packet of another machine has been received on the interface, " +
			"since the start of the daemon or since the link came up again, even if nobody is MASTER: a link may have a carrier and deliver nothing " +
			"yet. `0s`: it does not wait for that; a warning with `preempt: false`. See [failover.md](failover.md#a-link-that-delivers-nothing-yet)",
		perNode: perNode, reload: Live,
	}
}

// checkDeafDelays warns about directors that take the addresses from the MASTER although they do not preempt.
func (c *contents) checkDeafDelays() {
	for _, in := range c.instances {
		all := in.v.byDirector()
		for _, director := range slices.Sorted(maps.Keys(all)) {
			if i := all[director]; i.DeafDelay == 0 && !i.Preempt && len(all) > 1 {
				in.at.setting(director, "deaf_delay").warn("leave it out, or write a time",
					"0s with preempt: false: a director whose link delivers nothing at its start becomes MASTER, and takes the addresses from the other one once the link works")
				break
			}
		}
	}
}
