package lvs

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// FirewallMark is the Protocol of a service that is selected by firewall mark instead of by address.
const FirewallMark = "fwm"

// Key identifies a virtual server of either address family in the IPVS table. It is comparable.
type Key struct {
	Protocol string     // "tcp", "udp", "sctp" or FirewallMark
	Address  netip.Addr // with FirewallMark: the unspecified address of the family
	Port     uint16     // 0: every port
	Mark     uint32     // with FirewallMark only
}

// String returns "tcp 10.77.0.100:3306", "tcp [fd00::100]:3306", "fwm 5" or, for IPv6, "fwm 5 (IPv6)". Different keys
// have different texts.
func (k Key) String() string {
	switch {
	case k.Protocol != FirewallMark:
		return k.Protocol + " " + netip.AddrPortFrom(k.Address, k.Port).String()
	case k.Family() == kernel.IPv6:
		return fmt.Sprintf("%s %d (%s)", k.Protocol, k.Mark, kernel.IPv6)
	default:
		return fmt.Sprintf("%s %d", k.Protocol, k.Mark)
	}
}

// Family is the family of the service's clients. A mark identifies one service in each family.
func (k Key) Family() kernel.Family { return kernel.FamilyOf(k.Address) }

// Marked returns the key of a service by firewall mark.
func Marked(family kernel.Family, mark uint32) Key {
	return Key{Protocol: FirewallMark, Address: family.Unspecified(), Mark: mark}
}

// Compare orders keys by protocol, family, address, port and mark.
func (k Key) Compare(other Key) int {
	return cmp.Or(
		cmp.Compare(k.Protocol, other.Protocol),
		k.Address.Compare(other.Address),
		cmp.Compare(k.Port, other.Port),
		cmp.Compare(k.Mark, other.Mark),
	)
}

// Service is a virtual server with its pool.
type Service struct {
	Key
	Scheduler   string
	Persistence time.Duration // whole seconds; 0: none
	Netmask     int           // prefix length by which clients are grouped, used only with Persistence; 0: each client separately
	Engine      string        // the persistence engine, used only with Persistence; "": none
	Flags       Flags         // of the scheduler
	OnePacket   bool          // each packet is scheduled by itself; for UDP
	Servers     []Server

	// Stray describes settings in the kernel for which this model has no field (other flags); "": none.
	// Only a reader sets it; Diff rewrites such a service.
	Stray string

	// Traffic is filled in by a reader, and ignored otherwise; nil: not read.
	Traffic *Traffic
	// Assignment is filled in by Snapshot of package ipvs if the scheduler is mh, and ignored otherwise; see AssignmentOf.
	Assignment string
}

// Server is a real server in the pool of a service, where its address and port identify it.
type Server struct {
	Address netip.Addr
	Port    uint16
	Forward config.Forward
	Tunnel  config.Tunnel // with config.TUN
	Weight  int           // 0-65535; 0: no new connections
	// From Upper connections on, active and inactive ones, it gets no new ones until it has fewer than Lower; 0: no limit.
	// A Lower of 0 is three quarters of Upper.
	Upper, Lower uint32
	// Slots is the weight by which mh has slots for it while Weight is 0, if it was never higher; see Diff. Only Desired sets it.
	Slots int

	// Stray is as in Service: an unknown tunnel type.
	Stray string

	// Counters that a reader fills in; Diff ignores them.
	ActiveConnections   int
	InactiveConnections int
	Traffic             *Traffic // nil: not read
}

// overloaded reports whether the server has reached an upper threshold (ip_vs_bind_dest); 0: it has none. After that the kernel
// may give it no connections although it has fewer again, until they are below the lower threshold; that cannot be seen.
func (s Server) overloaded(upper uint32) bool {
	return upper > 0 && s.ActiveConnections+s.InactiveConnections >= int(upper)
}

// AddrPort identifies the server within its service.
func (s Server) AddrPort() netip.AddrPort { return netip.AddrPortFrom(s.Address, s.Port) }

// mask is the prefix length that the kernel uses: 0 without persistence, where it has no meaning.
func (s Service) mask() int {
	switch {
	case s.Persistence == 0:
		return 0
	case s.Netmask == 0:
		return s.Address.BitLen()
	default:
		return s.Netmask
	}
}

// same reports whether a wanted service equals other, apart from its servers.
func (s Service) same(other Service) bool {
	return s.Scheduler == other.Scheduler &&
		s.Persistence == other.Persistence &&
		s.mask() == other.mask() &&
		s.Engine == other.Engine &&
		s.Flags == other.Flags &&
		s.OnePacket == other.OnePacket &&
		tidy(s.Stray, other.Stray)
}

// same reports whether a wanted server equals other, apart from its counters.
func (s Server) same(other Server) bool {
	return s.Forward == other.Forward && s.Tunnel == other.Tunnel && s.Weight == other.Weight && s.Upper == other.Upper && s.Lower == other.Lower && tidy(s.Stray, other.Stray)
}

// Equal reports whether two tables in the same order are the same, apart from counters.
func Equal(a, b []Service) bool {
	return slices.EqualFunc(a, b, func(a, b Service) bool {
		return a.Key == b.Key && a.same(b) && slices.EqualFunc(a.Servers, b.Servers, func(a, b Server) bool {
			return a.AddrPort() == b.AddrPort() && a.same(b)
		})
	})
}

// tidy reports whether no stray settings have to be cleared. A want with Stray set was itself read from the kernel, and
// is compared with a later read that may see less.
func tidy(want, have string) bool { return have == "" || have == want }

// Sorted returns a deep copy in a fixed order: services by key, servers by address and port. The kernel's order is that
// of a hash table.
func Sorted(services []Service) []Service {
	sorted := clone(services)
	for i := range sorted {
		slices.SortFunc(sorted[i].Servers, func(a, b Server) int { return a.AddrPort().Compare(b.AddrPort()) })
	}
	slices.SortFunc(sorted, func(a, b Service) int { return a.Key.Compare(b.Key) })
	return sorted
}

func clone(services []Service) []Service {
	copied := slices.Clone(services)
	for i := range copied {
		copied[i].Servers = slices.Clone(copied[i].Servers)
	}
	return copied
}

func byKey(services []Service) map[Key]Service {
	m := make(map[Key]Service, len(services))
	for _, s := range services {
		m[s.Key] = s
	}
	return m
}

func byAddress(servers []Server) map[netip.AddrPort]Server {
	m := make(map[netip.AddrPort]Server, len(servers))
	for _, s := range servers {
		m[s.AddrPort()] = s
	}
	return m
}
