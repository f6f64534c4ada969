// Package neighbours reads the hardware addresses of neighbours from the kernel (ARP and neighbour discovery). It asks the kernel to
// find out those that are not known, and does not wait for that. It adds no entry of its own, and watches nothing.
package neighbours

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// known are the states of entries whose hardware address is used for packets, or was until a moment ago.
const known = unix.NUD_PERMANENT | unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE

// HardwareAddrs returns the hardware addresses of neighbours. Those that are not known are missing: they may be down, behind a
// router, or be asked only now.
func HardwareAddrs(of []netip.Addr) (map[netip.Addr]kernel.HardwareAddr, error) {
	h, err := rtnl.Open()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	found := map[netip.Addr]kernel.HardwareAddr{}
	entries, err := rtnl.Dump(func() ([]netlink.Neigh, error) { return h.NeighList(0, unix.AF_UNSPEC) })
	if err != nil {
		return nil, fmt.Errorf("the neighbours (ip neigh): %w", err)
	}
	for _, e := range entries {
		a, _ := netip.AddrFromSlice(e.IP)
		if a = a.Unmap(); e.State&known != 0 && len(e.HardwareAddr) == len(kernel.HardwareAddr{}) && slices.Contains(of, a) {
			found[a] = kernel.HardwareAddr(e.HardwareAddr)
		}
	}
	for _, a := range of {
		if _, is := found[a]; !is {
			ask(h, a)
		}
	}
	return found, nil
}

// ask has the kernel find out the hardware address of a neighbour. Failures do not matter: the next reading asks again.
func ask(h *netlink.Handle, a netip.Addr) {
	routes, err := h.RouteGet(net.IP(a.AsSlice()))
	if err != nil || len(routes) == 0 || len(routes[0].Gw) > 0 {
		return
	}
	_ = h.NeighSet(&netlink.Neigh{LinkIndex: routes[0].LinkIndex, State: netlink.NUD_NONE, Flags: unix.NTF_USE, IP: net.IP(a.AsSlice())})
}
