package config

import "time"

func commonStartupDelayField() key[contents] {
	return &field[contents, time.Duration]{
		name: "startup_delay", kind: durationIn(0, maxStartupDelay), in: func(c *contents) *time.Duration { return &c.startupDelay },
		doc:    "`startup_delay` of each instance that has none, and whose sync group has none. See [failover.md](failover.md#delays)",
		reload: Live, words: []word{keepalived("vrrp_startup_delay")},
	}
}

// resolveStartupDelay passes the common delay to the instances without one of their own. A sync group with one replaces it
// afterwards.
func (c *contents) resolveStartupDelay() {
	for n := range c.instances {
		in := &c.instances[n]
		if _, given := in.at.fields["startup_delay"]; given {
			continue
		}
		in.v.each(func(i *Instance) {
			if i.StartupDelay == 0 {
				i.StartupDelay = c.startupDelay
			}
		})
	}
}
