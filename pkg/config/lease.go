package config

import (
	"time"

	"gopkg.in/yaml.v3"
)

// masterDown is how long a BACKUP waits for an advert before it takes over (RFC 3768, section 6.1; RFC 9568, section
// 6.1). A version 2 skew is parts of a second, that of version 3 parts of the interval.
func masterDown(version uint8, interval time.Duration, priority uint8) time.Duration {
	unit := time.Second
	if version == 3 {
		unit = interval
	}
	return 3*interval + time.Duration(256-int(priority))*unit/256
}

// slowest is the longest masterDown of the directors of an instance; 0 if a value that it needs was not valid.
func (i Instance) slowest(directors []placed[Director]) time.Duration {
	if i.AdvertInterval == 0 || i.ProtocolVersion == 0 {
		return 0
	}
	longest := time.Duration(0)
	for _, at := range i.everywhere(directors) {
		if at.Priority == 0 {
			return 0
		}
		longest = max(longest, masterDown(i.ProtocolVersion, i.AdvertInterval, at.Priority))
	}
	return longest
}

// everywhere returns the instance as each director runs it, by the director's name; if no director is known, as it
// stands, under "".
func (i Instance) everywhere(directors []placed[Director]) map[string]Instance {
	all := map[string]Instance{}
	for _, d := range directors {
		if d.v.Name != "" {
			all[d.v.Name] = i.For(d.v.Name)
		}
	}
	if len(all) == 0 {
		all[""] = i.For("")
	}
	return all
}

// leaseOr reads the lease or computes its default. A VIP has to survive as long as its MASTER may be silent without
// being replaced, so a lease is longer than the slowest BACKUP's patience.
func (i Instance) leaseOr(o object, directors []placed[Director]) time.Duration {
	patience := i.slowest(directors)
	v, ok := o.fields["lease"]
	if !ok {
		whole := (patience + time.Second - 1).Truncate(time.Second)
		return max(minLease, whole+time.Second)
	}
	lease, ok := v.seconds(minLease, maxLease) // the kernel counts the lifetime of an address in seconds (struct ifa_cacheinfo)
	if !ok {
		return 0
	}
	if lease <= patience {
		v.fail("write at least "+span(patience.Truncate(time.Second)+time.Second),
			"%s is not longer than the master-down interval %s", span(lease), span(patience.Round(time.Millisecond)))
		return 0
	}
	return lease
}

// checkPreemption refuses what an address owner cannot do, and doubts a delay that nothing uses.
func (i Instance) checkPreemption(o object, directors []placed[Director]) {
	reported := map[*yaml.Node]bool{}
	for _, d := range directors {
		at := i.For(d.v.Name)
		preempt, delay := o.setting(d.v.Name, "preempt"), o.setting(d.v.Name, "preempt_delay")
		switch {
		case at.Preempt:
		case at.Priority == 255 && !reported[preempt.node]:
			reported[preempt.node] = true
			preempt.fail("", "is false with priority 255 on %s: an address owner always takes over (RFC 9568, section 6.1)", d.v.Name)
		case at.PreemptDelay > 0 && !reported[delay.node]:
			reported[delay.node] = true
			delay.warn("", "has no effect on %s, where preempt is false", d.v.Name)
		}
	}
}

// setting returns the value of key that counts on a director: that of per_node, else the instance's own.
func (o object) setting(director, key string) value {
	if v, ok := o.peek("per_node", director, key); ok {
		return v
	}
	return o.locate(key)
}
