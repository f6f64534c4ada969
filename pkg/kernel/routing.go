package kernel

import (
	"fmt"
	"net/netip"
	"strings"
)

// MainTable is the routing table that is used without a rule (RT_TABLE_MAIN).
const MainTable = 254

// metric6 is the metric of a route of IPv6 that was added with 0 (IP6_RT_PRIO_USER, include/net/ip6_route.h).
const metric6 = 1024

// Scope is how far away a destination is (rtnetlink(7)): the values of the kernel.
type Scope uint8

// The scopes that a Route can have. The zero value is that of a route via a router.
const (
	ScopeGlobal Scope = 0
	ScopeLink   Scope = 253
	ScopeHost   Scope = 254
)

// String returns the word of ip-route(8).
func (s Scope) String() string {
	switch s {
	case ScopeGlobal:
		return "global"
	case ScopeLink:
		return "link"
	case ScopeHost:
		return "host"
	}
	return fmt.Sprint(uint8(s))
}

// Route is a unicast route.
type Route struct {
	Destination netip.Prefix `json:"destination"` // without host bits; of length 0 for the default route
	Via         netip.Addr   `json:"via,omitzero"`
	Interface   string       `json:"interface,omitempty"` // "": the one by which Via is reached
	Source      netip.Addr   `json:"source,omitzero"`     // preferred by packets of this machine; invalid: the kernel's choice
	Table       uint32       `json:"table"`
	Metric      uint32       `json:"metric,omitempty"` // 0 with IPv6: the kernel's 1024
	Scope       Scope        `json:"scope,omitempty"`  // IPv6 has none
	OnLink      bool         `json:"onlink,omitempty"` // Via is on the interface even if no route says so
}

// Family returns the address family of a route.
func (r Route) Family() Family { return FamilyOf(r.Destination.Addr()) }

// RouteKey is what two routes of one kernel cannot share.
type RouteKey struct {
	Destination   netip.Prefix
	Table, Metric uint32
}

// Key returns the key of a route.
func (r Route) Key() RouteKey {
	k := RouteKey{r.Destination, r.Table, r.Metric}
	if k.Metric == 0 && r.Family() == IPv6 {
		k.Metric = metric6
	}
	return k
}

// Is reports whether a route of the kernel is the one that was added as want. The kernel fills in the interface if want
// has none.
func (r Route) Is(want Route) bool {
	same := r.Key() == want.Key() && r.Via == want.Via && r.Source == want.Source && (want.Interface == "" || r.Interface == want.Interface)
	return same && (r.Family() == IPv6 || r.Scope == want.Scope)
}

// String describes the route in the words of ip-route(8).
func (r Route) String() string {
	var b strings.Builder
	destination := r.Destination.String()
	if r.Destination.Bits() == 0 {
		destination = "default"
		if r.Family() == IPv6 {
			destination = "default (IPv6)"
		}
	}
	b.WriteString(destination)
	if r.Via.IsValid() {
		fmt.Fprintf(&b, " via %s", r.Via)
	}
	if r.Interface != "" {
		fmt.Fprintf(&b, " dev %s", r.Interface)
	}
	if r.Table != MainTable {
		fmt.Fprintf(&b, " table %d", r.Table)
	}
	if r.Source.IsValid() {
		fmt.Fprintf(&b, " src %s", r.Source)
	}
	if r.Metric != 0 {
		fmt.Fprintf(&b, " metric %d", r.Metric)
	}
	if r.OnLink {
		b.WriteString(" onlink")
	}
	return b.String()
}

// Rule is a policy rule: packets that match all its selectors are routed by a table. Equal values are the same rule.
type Rule struct {
	Family   Family       `json:"family"`
	Priority uint32       `json:"priority"`       // lower ones come first
	From     netip.Prefix `json:"from,omitzero"`  // invalid: any
	To       netip.Prefix `json:"to,omitzero"`    // invalid: any
	Mark     uint32       `json:"mark,omitempty"` // 0: any
	Incoming string       `json:"iif,omitempty"`  // interface; "": any
	Outgoing string       `json:"oif,omitempty"`  // of sockets that are bound to one; "": any
	Table    uint32       `json:"table"`
}

// String describes the rule in the words of ip-rule(8).
func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule %d", r.Priority)
	if r.Family == IPv6 {
		b.WriteString(" (IPv6)")
	}
	if r.From.IsValid() {
		fmt.Fprintf(&b, " from %s", r.From)
	}
	if r.To.IsValid() {
		fmt.Fprintf(&b, " to %s", r.To)
	}
	if r.Mark != 0 {
		fmt.Fprintf(&b, " fwmark %d", r.Mark)
	}
	if r.Incoming != "" {
		fmt.Fprintf(&b, " iif %s", r.Incoming)
	}
	if r.Outgoing != "" {
		fmt.Fprintf(&b, " oif %s", r.Outgoing)
	}
	fmt.Fprintf(&b, " table %d", r.Table)
	return b.String()
}
