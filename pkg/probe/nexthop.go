package probe

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// noNeighbour reports whether the kernel has asked for the hardware address of the target, or of the router to it, and got
// no answer so far. It is false if the kernel does not tell.
func noNeighbour(target netip.Addr) bool {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return false
	}
	defer h.Close()
	if err := h.SetSocketTimeout(lookupTimeout); err != nil {
		return false
	}
	routes, err := h.RouteGet(net.IP(target.AsSlice()))
	if err != nil || len(routes) == 0 {
		return false
	}
	hop := target
	if gateway, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		hop = gateway.Unmap()
	}
	request := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	request.Sockets = map[int]*nl.SocketHandle{}
	request.AddData(&netlink.Ndmsg{Family: uint8(domain(hop)), Index: uint32(routes[0].LinkIndex)})
	request.AddData(nl.NewRtAttr(netlink.NDA_DST, hop.AsSlice()))
	socket, err := nl.GetNetlinkSocketAt(-1, -1, unix.NETLINK_ROUTE)
	if err != nil {
		return false
	}
	defer socket.Close()
	wait := unix.NsecToTimeval(lookupTimeout.Nanoseconds())
	if socket.SetReceiveTimeout(&wait) != nil || socket.SetSendTimeout(&wait) != nil {
		return false
	}
	request.Sockets[unix.NETLINK_ROUTE] = &nl.SocketHandle{Socket: socket}
	answers, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	if err != nil || len(answers) == 0 {
		return false // it has no entry, as for an interface without ARP
	}
	n, err := netlink.NeighDeserialize(answers[0])
	return err == nil && n.State&(netlink.NUD_INCOMPLETE|netlink.NUD_FAILED) != 0
}
