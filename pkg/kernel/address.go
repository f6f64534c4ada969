package kernel

import (
	"net/netip"
	"slices"
	"time"
)

// IfAddr is an address on an interface, which is identified by name: "lo", "10.77.0.100/32".
type IfAddr struct {
	Interface string
	Prefix    netip.Prefix
}

// String returns the interface and the prefix with a space between them.
func (a IfAddr) String() string { return a.Interface + " " + a.Prefix.String() }

// Address is a snapshot of one address of one interface.
type Address struct {
	Interface string
	Prefix    netip.Prefix
	// Valid is what remains of the lease, in whole seconds and at least one; 0 for an address without a lease.
	Valid time.Duration
	// Label is the IPv4 label, usually the interface's name or "IFACE:SOMETHING"; "" for IPv6, which has none.
	Label string
	// Global: the address has global scope (not link, not host).
	Global bool
	// Tentative: an IPv6 address cannot be used yet, because duplicate address detection is running (RFC 4862, section
	// 5.4). Duplicate: another machine has it, and it is never used. Neither is set for IPv4.
	Tentative, Duplicate bool
}

// Usable reports whether packets can be sent from the address now.
func (a Address) Usable() bool { return !a.Tentative && !a.Duplicate }

// IfAddr returns the address without its state in the kernel.
func (a Address) IfAddr() IfAddr { return IfAddr{a.Interface, a.Prefix} }

// Link is a snapshot of a network interface.
type Link struct {
	Index int
	Name  string
	// Alternative are further names of the interface, separated by spaces; `ip link` shows them as altname.
	Alternative string
	// Up is the administrative state, which `ip link set up` sets.
	Up bool
	// Carrier: frames can pass (IFF_RUNNING). The interface is up, and its operational state is up or, for devices
	// without one such as dummy, unknown.
	Carrier  bool
	Loopback bool
	// Kind is the driver kind of a virtual interface ("veth", "bridge", "bond", "vlan", "ipip", …); "device" for hardware
	// and for lo.
	Kind         string
	MTU          int
	Parent       int    // the index of the interface below a VLAN, macvlan or ipvlan; 0: none in this network namespace
	HardwareAddr string // "02:00:00:00:00:01"; "" if the interface has none
}

// Tunnel reports whether the interface is an IP tunnel, which carries no ARP request and no neighbour solicitation for a VIP.
func (l Link) Tunnel() bool {
	return slices.Contains([]string{"ipip", "gre", "sit", "ip6tnl", "ip6gre"}, l.Kind)
}

// Placement is how a VIP is added. Zero fields are the defaults.
type Placement struct {
	Interface string     `json:",omitempty"` // "": that of the instance
	Label     string     `json:",omitempty"` // of IPv4; "": the interface
	Scope     Scope      `json:",omitempty"` // of IPv4
	Broadcast netip.Addr `json:",omitzero"`  // of IPv4; invalid: none
}
