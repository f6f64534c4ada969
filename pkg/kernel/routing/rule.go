package routing

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// wholeMark compares all bits of a firewall mark.
const wholeMark uint32 = 1<<32 - 1

// Rules lists the rules of both families that have the number Protocol. One with selectors that a kernel.Rule does not
// have is left out.
//
// Errors: kernel.ErrNotPermitted, or that the kernel does not answer.
func (h *Handle) Rules() ([]kernel.Rule, error) {
	var all []kernel.Rule
	for _, family := range families {
		found, err := h.rules(family, func(n netlink.Rule) bool { return n.Protocol == Protocol })
		if err != nil {
			return nil, fmt.Errorf("list rules: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// rules lists the rules of a family that are to be listed.
func (h *Handle) rules(family kernel.Family, wanted func(netlink.Rule) bool) ([]kernel.Rule, error) {
	found, err := dump(func() ([]netlink.Rule, error) { return h.rt.RuleList(number(family)) })
	if err != nil {
		return nil, translate(err)
	}
	var all []kernel.Rule
	for _, n := range found {
		if r, ok := ruleOf(n, family); ok && n.Family == number(family) && wanted(n) { // a kernel without IPv6 lists those of IPv4
			all = append(all, r)
		}
	}
	return all, nil
}

// ruleOf returns a rule of the kernel; ok is false if it has other selectors.
func ruleOf(n netlink.Rule, family kernel.Family) (r kernel.Rule, ok bool) {
	r = kernel.Rule{
		Family: family, Priority: uint32(n.Priority), From: prefixOf(n.Src, family, netip.Prefix{}), To: prefixOf(n.Dst, family, netip.Prefix{}),
		Mark: n.Mark, Incoming: n.IifName, Outgoing: n.OifName, Table: uint32(n.Table),
	}
	ok = !n.Invert && n.Goto <= 0 && n.IPProto == 0 && n.Dport == nil && n.Sport == nil && n.UIDRange == nil && n.Tos == 0 && n.TunID == 0 &&
		n.SuppressIfgroup < 0 && n.SuppressPrefixlen < 0 && (n.Mask == nil || *n.Mask == wholeMark || n.Mark == 0)
	return r, ok
}

// AddRule adds a rule.
//
// Errors: ErrExists, kernel.ErrNotPermitted.
func (h *Handle) AddRule(r kernel.Rule) error {
	// The kernel does not compare the number of the protocol, and removes the first of two equal rules.
	others, err := h.rules(r.Family, func(n netlink.Rule) bool { return true })
	for _, other := range others {
		if other == r {
			err = ErrExists
		}
	}
	if err == nil {
		err = h.rt.RuleAdd(rule(r))
	}
	if err != nil {
		return fmt.Errorf("add %s: %w", r, translate(err))
	}
	return nil
}

// RemoveRule removes a rule that has the number Protocol. A missing one is not an error.
//
// Errors: kernel.ErrNotPermitted.
func (h *Handle) RemoveRule(r kernel.Rule) error {
	if err := h.rt.RuleDel(rule(r)); err != nil && !gone(err) {
		return fmt.Errorf("remove %s: %w", r, translate(err))
	}
	return nil
}

func rule(r kernel.Rule) *netlink.Rule {
	n := netlink.NewRule()
	n.Family, n.Priority, n.Table, n.Protocol = number(r.Family), int(r.Priority), int(r.Table), Protocol
	n.Src, n.Dst, n.IifName, n.OifName = ipNet(r.From), ipNet(r.To), r.Incoming, r.Outgoing
	if n.Mark = r.Mark; r.Mark != 0 {
		n.Mask = new(wholeMark)
	}
	return n
}
