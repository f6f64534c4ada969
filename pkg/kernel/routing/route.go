package routing

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Routes lists the routes of both families that have the number Protocol, in all tables. A route to several routers is
// left out: no daemon of ours adds one.
//
// Errors: kernel.ErrNotPermitted, or that the kernel does not answer.
func (h *Handle) Routes() ([]kernel.Route, error) {
	names, err := h.names()
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var all []kernel.Route
	for _, family := range families {
		found, err := dump(func() ([]netlink.Route, error) {
			return h.filtered.RouteListFiltered(number(family), &netlink.Route{Protocol: Protocol}, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", translate(err))
		}
		for _, r := range found {
			if r.Type != unix.RTN_UNICAST || len(r.MultiPath) > 0 {
				continue
			}
			all = append(all, kernel.Route{
				Destination: prefixOf(r.Dst, family, netip.PrefixFrom(family.Unspecified(), 0)), Via: addr(r.Gw, family), Interface: names[r.LinkIndex],
				Source: addr(r.Src, family), Table: uint32(r.Table), Metric: uint32(r.Priority), Scope: kernel.Scope(r.Scope),
				OnLink: r.Flags&unix.RTNH_F_ONLINK != 0,
			})
		}
	}
	return all, nil
}

func (h *Handle) names() (map[int]string, error) {
	links, err := dump(h.rt.LinkList)
	if err != nil {
		return nil, translate(err)
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names, nil
}

// Add adds a route.
//
// Errors: ErrExists, also if this daemon has added it already; kernel.ErrNoInterface, kernel.ErrNotPermitted.
func (h *Handle) Add(r kernel.Route) error {
	n, err := h.route(r)
	if err == nil {
		err = h.rt.RouteAdd(n)
	}
	if err != nil {
		return fmt.Errorf("add %s: %w", r, translate(err))
	}
	return nil
}

// Remove removes a route that has the number Protocol. A missing one, or a missing interface, is not an error.
//
// Errors: kernel.ErrNotPermitted.
func (h *Handle) Remove(r kernel.Route) error {
	n, err := h.route(r)
	if err == nil {
		err = h.rt.RouteDel(n)
	}
	if err == nil || gone(err) {
		return nil
	}
	if err = translate(err); err == kernel.ErrNoInterface {
		return nil // its routes are gone as well
	}
	return fmt.Errorf("remove %s: %w", r, err)
}

func (h *Handle) route(r kernel.Route) (*netlink.Route, error) {
	n := &netlink.Route{
		Family: number(r.Family()), Dst: ipNet(r.Destination), Gw: r.Via.AsSlice(), Src: r.Source.AsSlice(), Table: int(r.Table), Priority: int(r.Metric),
		Scope: netlink.Scope(r.Scope), Protocol: Protocol, Type: unix.RTN_UNICAST,
	}
	if r.OnLink {
		n.Flags = unix.RTNH_F_ONLINK
	}
	if r.Interface != "" {
		link, err := h.rt.LinkByName(r.Interface)
		if err != nil {
			return nil, err
		}
		n.LinkIndex = link.Attrs().Index
	}
	return n, nil
}
