package kernel

import (
	"net/netip"
	"time"
)

// IfAddr is an address on an interface, by the interface's name: "lo", "10.77.0.100/32".
type IfAddr struct {
	Interface string
	Prefix    netip.Prefix
}

// String returns the interface and the prefix with a space between them.
func (a IfAddr) String() string { return a.Interface + " " + a.Prefix.String() }

// Address is one address of one interface at one moment.
type Address struct {
	Interface string
	Prefix    netip.Prefix
	// Valid is what remains of the lease, in whole seconds and at least one; 0
	// for an address without a lease.
	Valid time.Duration
	// Label is the IPv4 label, usually the interface's name or "IFACE:SOMETHING"; "" for IPv6, which has none.
	Label string
	// Global says that the address has global scope (not link, not host).
	Global bool
	// Tentative says that an IPv6 address cannot be used yet: the kernel still asks whether another machine has it (RFC
	// 4862, section 5.4). Duplicate says that one has: the address is never used. Neither is set for IPv4.
	Tentative, Duplicate bool
}

// Usable says whether packets can come from the address now.
func (a Address) Usable() bool { return !a.Tentative && !a.Duplicate }

// IfAddr is the address without what the kernel says about it.
func (a Address) IfAddr() IfAddr { return IfAddr{a.Interface, a.Prefix} }

// Link is a network interface as the kernel describes it at one moment.
type Link struct {
	Index int
	Name  string
	// Up is what `ip link set up` makes it: the administrator wants it up.
	Up bool
	// Carrier says that frames can pass (IFF_RUNNING): up, and the operational
	// state is up or, for devices without one such as dummy, unknown.
	Carrier  bool
	Loopback bool
	// Kind is the driver kind of a virtual interface ("veth", "bridge", "bond",
	// "vlan", "ipip", …); "device" for hardware and for lo.
	Kind         string
	MTU          int
	HardwareAddr string // "02:00:00:00:00:01"; "" where the interface has none
}
