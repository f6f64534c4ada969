package probe

import (
	"context"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// traceroutePort is the port that traceroute(8) sends to, where servers expect nothing.
const traceroutePort = 33434

// Router returns a router between this machine and an address: the host that says that a packet with a time to live of 1 was
// discarded there (time exceeded; RFC 792, RFC 4443 3.3). It is invalid if nobody says so until ctx ends: the packet has
// arrived, or the router is silent, as some are.
func Router(ctx context.Context, to netip.Addr) netip.Addr {
	c, err := dialUDP(&Target{Address: netip.AddrPortFrom(to, traceroutePort)})
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	defer c.endWith(ctx)()
	ipv6 := kernel.FamilyOf(to.Unmap()) == kernel.IPv6
	if err := c.liveFor(1, ipv6); err != nil {
		return netip.Addr{}
	}
	if _, err := c.Write([]byte{0}); err != nil {
		return netip.Addr{}
	}
	var packet [1]byte
	_, _ = c.Read(packet[:]) // until there is an ICMP error, an answer, or the end of ctx
	var router netip.Addr
	_ = c.raw.Control(func(fd uintptr) {
		eachQueued(int(fd), func(m unix.SocketControlMessage) {
			if from, is := exceeded(m); is {
				router = from
			}
		})
	})
	return router
}

// liveFor sets how many routers may forward the packets of a socket, and one more that discards them.
func (c *conn) liveFor(hops int, ipv6 bool) error {
	level, option := unix.SOL_IP, unix.IP_TTL
	if ipv6 {
		level, option = unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS
	}
	var failed error
	if err := c.raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, option, hops) }); err != nil {
		return err
	}
	return failed
}

// ICMP types (RFC 792, RFC 4443); the code 0 is that of a packet that was discarded on its way.
const (
	icmpTimeExceeded  = 11
	icmp6TimeExceeded = 3
)

// exceeded returns the sender of an ICMP error that says that the time to live ended there, and false for other messages.
func exceeded(m unix.SocketControlMessage) (netip.Addr, bool) {
	e, is := extendedErrorOf(m)
	if !is || e.code != 0 || e.ipv6 && e.kind != icmp6TimeExceeded || !e.ipv6 && e.kind != icmpTimeExceeded {
		return netip.Addr{}, false
	}
	return e.from, true
}
