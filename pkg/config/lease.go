package config

import (
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// masterDown is the master-down interval: how long a BACKUP waits for an advert before it takes over (RFC 3768, section
// 6.1; RFC 9568, section 6.1). The skew is a fraction of a second in version 2 and of the interval in version 3.
func masterDown(version uint8, interval time.Duration, priority, adverts uint8) time.Duration {
	unit := time.Second
	if version == 3 {
		unit = interval
	}
	return time.Duration(adverts)*interval + time.Duration(256-int(priority))*unit/256
}

// longestMasterDown is the longest masterDown among the directors of an instance; 0 if a value that it depends on was
// invalid.
func (i *instance) longestMasterDown() time.Duration {
	if i.AdvertInterval == 0 || i.ProtocolVersion == 0 || i.Variants.DownTimerAdverts == 0 {
		return 0
	}
	longest := time.Duration(0)
	for _, at := range i.byDirector() {
		if at.Priority == 0 {
			return 0
		}
		longest = max(longest, masterDown(i.ProtocolVersion, i.AdvertInterval, at.lowestPriority(), i.Variants.DownTimerAdverts))
	}
	return longest
}

// lowestPriority is the least priority that tracks may leave to a director.
func (i Instance) lowestPriority() uint8 {
	weighted := func(u TrackUse) bool { return u.Weight != 0 }
	if i.Priority != 255 && slices.ContainsFunc(i.Tracks, weighted) {
		return lowestPriority
	}
	return i.Priority
}

// byDirector returns the instance as run by each director, by director name; if no director is known, the instance
// itself under "".
func (i *instance) byDirector() map[string]Instance {
	all := map[string]Instance{}
	for _, d := range i.directors {
		if d.v.Name != "" {
			all[d.v.Name] = i.forNode(d.v.Name)
		}
	}
	if len(all) == 0 {
		all[""] = i.forNode("")
	}
	return all
}

const leaseNotes = `A director renews each of its virtual addresses three times per **lease**. When a director dies, the kernel removes its
virtual addresses at the end of the lease. A lease is longer than the master-down interval, which is how long the other
directors wait for an advert: ` + "`down_timer_adverts`" + ` (three) advert intervals plus the skew of the director with the lowest priority, or of priority 1 if
tracks have weights. The skew is
(256 − priority)/256 of a second in version 2 and of the advert interval in version 3.
The default is the master-down interval, rounded up to seconds, plus one second, and at least ` + "`3s`: `5s`" + ` with all defaults.`

// resolveLease validates the lease or computes its default. A VIP must outlive the longest silence of its MASTER that
// does not cause a takeover, so the lease is longer than the longest master-down interval. It is the same on every
// director.
func (i *instance) resolveLease(o object) {
	patience := i.longestMasterDown()
	v, given := o.fields["lease"]
	switch {
	case !given:
		whole := (patience + time.Second - 1).Truncate(time.Second)
		i.Lease = max(minLease, whole+time.Second)
	case i.Lease > 0 && i.Lease <= patience:
		v.fail("write at least "+span(patience.Truncate(time.Second)+time.Second),
			"%s is not longer than the master-down interval %s", span(i.Lease), span(patience.Round(time.Millisecond)))
	}
	for name, own := range i.PerNode {
		own.Lease = i.Lease
		i.PerNode[name] = own
	}
}

// locatePriority notes where the priority is written, or would be.
func (i *instance) locatePriority(o object) {
	i.PriorityAt = o.locate("priority").position()
	for name, own := range i.PerNode {
		own.PriorityAt = o.setting(name, "priority").position()
		i.PerNode[name] = own
	}
}

// checkPreemption rejects preempt: false on an address owner and warns about an unused delay.
func (i *instance) checkPreemption(o object) {
	reported := map[*yaml.Node]bool{}
	for _, d := range i.directors {
		at := i.forNode(d.v.Name)
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

// setting returns the effective value of key on a director: that of per_node, else the instance's own.
func (o object) setting(director, key string) value {
	if v, ok := o.peek("per_node", director, key); ok {
		return v
	}
	return o.locate(key)
}
