package config

import (
	"slices"
	"strings"
	"time"
)

const (
	maxPreemptDelay = time.Hour
	minLease        = 3 * time.Second
	maxLease        = time.Hour
)

func readInstances(v value, directors []placed[Director]) []placed[Instance] {
	var list []placed[Instance]
	items := v.items("VRRP instances")
	for _, item := range items {
		if o, ok := item.object("a VRRP instance with name, interface, virtual_router_id and virtual_addresses", instanceSection); ok {
			list = append(list, readInstance(o, directors))
		}
	}
	unique(list, "name", func(i Instance) string { return i.Name })
	return list
}

func readInstance(o object, directors []placed[Director]) placed[Instance] {
	in := Instance{
		Name:             required(o, "name", "a name for status and logs", value.name),
		Interface:        required(o, "interface", "the network interface of the adverts, for example eth0", value.networkInterface),
		VRID:             required(o, "virtual_router_id", "a number from 1 to 255 that no other router in the network uses", value.octet),
		ProtocolVersion:  optional(o, "protocol_version", 3, value.protocolVersion),
		Priority:         optional(o, "priority", 100, value.octet),
		Preempt:          optional(o, "preempt", true, value.preempt),
		PreemptDelay:     optional(o, "preempt_delay", 0, value.preemptDelay),
		VirtualAddresses: required(o, "virtual_addresses", "at least one address that moves between the directors", value.virtualAddresses),
		Tracks:           optional(o, "tracks", nil, value.trackNames),
		PerNode:          optional(o, "per_node", nil, func(v value) map[string]InstanceOverride { return readOverrides(v, directors) }),
	}
	in.AdvertInterval = optional(o, "advert_interval", time.Second, func(v value) time.Duration {
		return v.advertInterval(in.ProtocolVersion)
	})
	in.InterfaceAt = o.locate("interface").position()
	in.Lease = in.leaseOr(o, directors)
	in.checkPreemption(o, directors)
	return placed[Instance]{v: in, at: o}
}

func (v value) preempt() bool { return v.boolean(true) }

// octet reads a number from 1 to 255: a priority or a virtual router id.
func (v value) octet() uint8 {
	n, _ := v.whole(1, 255)
	return uint8(n)
}

func (v value) protocolVersion() uint8 {
	n, ok := v.whole(0, 255)
	if ok && n != 2 && n != 3 {
		v.fail("", "%d is not a VRRP version: 2 or 3", n)
		n = 0
	}
	return uint8(n)
}

// networkInterface reads a name that the kernel accepts for an interface (net/core/dev.c, dev_valid_name).
func (v value) networkInterface() string {
	s := v.text()
	switch {
	case s == "":
		return ""
	case len(s) > 15:
		v.fail("", "%s has %d bytes: an interface name has at most 15", quote(s), len(s))
	case s == "." || s == ".." || strings.ContainsAny(s, "/: \t\n\v\f\r") || oddity(s) != "":
		v.fail("", "%s is not an interface name%s", quote(s), oddity(s))
	case s == "lo":
		v.fail("", "adverts on lo reach no other director")
	default:
		return s
	}
	return ""
}

// steadyInterval is the shortest advert interval that any machine of today keeps, virtual ones included.
const steadyInterval = 100 * time.Millisecond

// advertInterval reads what the advert of a version can carry: seconds in 8 bits (RFC 3768, section 5.3.7), or hundredths
// of a second in 12 bits (RFC 9568, section 5.2.7).
func (v value) advertInterval(version uint8) time.Duration {
	switch version {
	case 2:
		d, ok := v.duration(time.Second, 255*time.Second)
		if ok && d%time.Second != 0 {
			v.fail("use protocol_version: 3", "%s is not a whole number of seconds, which VRRP version 2 needs", v.node.Value)
			return 0
		}
		return d
	case 3:
		const step = 10 * time.Millisecond
		d, ok := v.duration(step, 4095*step)
		if ok && d%step != 0 {
			v.fail("", "%s is not a multiple of 10ms, the unit of VRRP version 3", v.node.Value)
			return 0
		}
		if ok && d < steadyInterval {
			v.warn("use 100ms, or run on every director: nice -n -20 lvsctl check --host FILE",
				"%s: a director that gets no CPU for %s loses its VIPs, and not every machine can do better", v.node.Value, span(3*d))
		}
		return d
	default: // reported already
		return 0
	}
}

func (v value) preemptDelay() time.Duration {
	d, _ := v.duration(0, maxPreemptDelay)
	return d
}

// trackNames reads a list of names of tracks; an empty one is not nil, so that per_node can take tracks away.
func (v value) trackNames() []string {
	names := []string{}
	seen := map[string]bool{}
	for _, item := range v.items("names of tracks") {
		switch name := item.name(); {
		case name == "":
		case seen[name]:
			item.fail("", "%s is listed twice", name)
		default:
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

func readOverrides(v value, directors []placed[Director]) map[string]InstanceOverride {
	overrides := map[string]InstanceOverride{}
	v.pairs("a mapping from directors to what they set differently", func(key string, at, field value) {
		if names := nameList(directors); len(names) > 0 && !slices.Contains(names, key) {
			hint := ""
			if guess := nearest(key, names); guess != "" {
				hint = "did you mean " + guess + "?"
			}
			at.fail(hint, "no director has this name: want %s", enumerate(names, "or"))
		}
		o, ok := field.object("a mapping of "+strings.Join(overrideSection.keys, ", "), overrideSection)
		if !ok {
			return
		}
		override := InstanceOverride{
			Interface: optional(o, "interface", "", value.networkInterface),
			Priority:  optional(o, "priority", 0, value.octet),
			Tracks:    optional(o, "tracks", nil, value.trackNames),
		}
		override.InterfaceAt = o.locate("interface").position()
		if f, ok := o.fields["preempt"]; ok {
			preempt := f.preempt()
			override.Preempt = &preempt
		}
		if f, ok := o.fields["preempt_delay"]; ok {
			delay := f.preemptDelay()
			override.PreemptDelay = &delay
		}
		overrides[key] = override
	})
	return overrides
}

func nameList(directors []placed[Director]) []string {
	var names []string
	for _, d := range directors {
		if d.v.Name != "" {
			names = append(names, d.v.Name)
		}
	}
	return names
}
