package realserver

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// The values that keep a VIP on lo out of ARP (Linux Documentation/networking/ip-sysctl.rst). arp_ignore=1: answer only
// for addresses of the interface that was asked. arp_announce=2: use only an address of the outgoing interface as the
// sender.
const (
	arpIgnore   = "1"
	arpAnnounce = "2"
	// looseRPFilter accepts a packet from the tunnel although its source, the client, is reached through a network card.
	// It is the largest value, so it overrides any value of conf.all.
	looseRPFilter = "2"
)

// Membership is one virtual server of which this node is a real server.
type Membership struct {
	Name string // of the virtual server
	VIP  netip.AddrPort
	// Protocol is that of the virtual server, "tcp", "udp" or "sctp".
	Protocol string
	Forward  config.Forward
	Tunnel   config.Tunnel
	Server   string     // this node's name there
	Address  netip.Addr // this node's own address there
	Port     uint16     // the port of its service there
	Checked  uint16     // the port that stands for all of a virtual server of every port; 0: none
}

// State is the desired state of this node. The zero value requires nothing.
type State struct {
	Memberships []Membership
	Up          []string          // interfaces that must be up
	Addresses   []kernel.IfAddr   // without duplicates, sorted
	Sysctls     map[string]string // the key as package sysctl writes it -> value
	NICs        []string          // the interfaces that could answer ARP
	Director    bool              // this node is a director too: a VIP on its network card is not a problem
}

// Desired returns the desired state of the node that has one of these names. A nil Config gives the zero State.
func Desired(cfg *config.Config, links []addr.Link, names ...string) State {
	if cfg == nil {
		return State{}
	}
	_, notDirector := cfg.DirectorNamed(names...)
	s := State{Memberships: memberships(cfg, names), Director: notDirector == nil}
	for _, m := range s.Memberships {
		if vip, needed := m.vipAddress(); needed {
			s.Up = append(s.Up, vip.Interface)
			s.Addresses = append(s.Addresses, vip)
		}
	}
	slices.Sort(s.Up)
	s.Up = slices.Compact(s.Up)
	slices.SortFunc(s.Addresses, func(a, b kernel.IfAddr) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	s.Addresses = slices.Compact(s.Addresses)
	if len(s.Memberships) > 0 {
		s.NICs = nics(links)
	}
	if len(s.Addresses) > 0 {
		s.Sysctls = sysctls(s.NICs, s.Addresses)
	}
	return s
}

// inARP reports whether ARP finds an address. One of IPv6 needs nothing that keeps it out of neighbour discovery: an interface answers
// solicitations for its own addresses only (ndisc_recv_ns in net/ipv6/ndisc.c).
func inARP(a kernel.IfAddr) bool { return kernel.FamilyOf(a.Prefix.Addr()) == kernel.IPv4 }

// memberships are the virtual servers in which the node is a real server, in the order of the file, with each address and port.
func memberships(cfg *config.Config, names []string) []Membership {
	found, err := cfg.RealServersNamed(names...)
	if err != nil { // the node is in no virtual server
		return nil
	}
	all := make([]Membership, 0, len(found))
	for _, m := range found {
		for one := range m.VirtualServer.Endpoints() {
			at := Membership{
				Name: one.Name, VIP: netip.AddrPortFrom(one.Address, one.Port),
				Protocol: one.Protocol, Forward: one.ForwardTo(m.RealServer), Tunnel: m.RealServer.Tunnel, Server: m.RealServer.Name, Address: m.RealServer.Address, Port: cmp.Or(m.RealServer.Port, one.Port),
			}
			for _, c := range m.RealServer.Checks {
				at.Checked = cmp.Or(at.Checked, c.Port)
			}
			all = append(all, at)
		}
	}
	return all
}

// vipAddress returns where the VIP belongs on this node. needed is false for forward: nat, whose packets have this
// node's own address as destination, and for a refused virtual server.
func (m Membership) vipAddress() (a kernel.IfAddr, needed bool) {
	if m.refusal() != "" {
		return kernel.IfAddr{}, false
	}
	a.Prefix = netip.PrefixFrom(m.VIP.Addr(), m.VIP.Addr().BitLen())
	switch m.Forward {
	case config.DR:
		a.Interface = loopback
	case config.TUN:
		a.Interface = m.device()
	default:
		return kernel.IfAddr{}, false
	}
	return a, true
}

// sysctls returns the usual sysctls for DR and TUN real servers. The kernel uses the larger of conf.all's and the
// interface's value; they are set for each interface too, so that resetting conf.all does not expose the VIP.
func sysctls(nics []string, addresses []kernel.IfAddr) map[string]string {
	want := map[string]string{}
	for _, a := range addresses {
		switch {
		case !inARP(a):
			want[disableIPv6(a.Interface)] = "0"
		case a.Interface != loopback:
			want[confKey(a.Interface, "rp_filter")] = looseRPFilter
		}
	}
	if !slices.ContainsFunc(addresses, inARP) {
		return want
	}
	for _, name := range append([]string{"all"}, nics...) {
		want[confKey(name, "arp_ignore")] = arpIgnore
		want[confKey(name, "arp_announce")] = arpAnnounce
	}
	return want
}

// confKey returns the sysctl of an interface, written with slashes if the interface's name has a dot, as in sysctl(8).
func confKey(iface, name string) string {
	if strings.Contains(iface, ".") {
		return "net/ipv4/conf/" + iface + "/" + name
	}
	return "net.ipv4.conf." + iface + "." + name
}

// disableIPv6 returns the sysctl without which an interface can have no address of IPv6.
func disableIPv6(iface string) string { return "net/ipv6/conf/" + iface + "/disable_ipv6" }
