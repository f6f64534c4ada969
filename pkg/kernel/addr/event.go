package addr

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is the kind of an Event.
type Kind int

// The kinds of events. The zero value is none of them.
const (
	// AddressAdded: an address was added, or its lease renewed.
	AddressAdded Kind = iota + 1
	// AddressRemoved: an address was removed, by a process (Asked) or by its lease.
	AddressRemoved
	// LinkChanged: an interface appeared or changed; the change may be one that Event does not carry.
	LinkChanged
	// LinkRemoved: an interface is gone, or no longer has this name.
	LinkRemoved
	// Resync: anything may have changed; read everything again. It is the first event of a watch, and is sent whenever
	// events were lost.
	Resync
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case AddressAdded:
		return "AddressAdded"
	case AddressRemoved:
		return "AddressRemoved"
	case LinkChanged:
		return "LinkChanged"
	case LinkRemoved:
		return "LinkRemoved"
	case Resync:
		return "Resync"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Event is one change of an address or an interface.
type Event struct {
	Kind      Kind
	Interface string // "" for Resync
	// Prefix and Valid (as in Address) are set for address events only.
	Prefix netip.Prefix
	Valid  time.Duration
	// Asked: a process, possibly this one, requested this change of an IPv4 address. It is false if the kernel acted on
	// its own, as when a lease expires, and always for IPv6, where the kernel does not report it (rtmsg_ifa in
	// net/ipv4/devinet.c, inet6_ifa_notify in net/ipv6/addrconf.c).
	Asked bool
	// Up and Carrier (as in Link) are set for LinkChanged only.
	Up, Carrier bool
}

// names maps interface indexes to names, because address messages carry no name.
type names map[int32]string

// events turns one netlink message into events and updates the names. A message that cannot be parsed becomes a Resync
// instead of being ignored. port is the netlink port of the process that requested the change, 0 for none.
func (n names) events(kind uint16, port uint32, body []byte) []Event {
	switch kind {
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return n.addressEvents(kind, port, body)
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return n.linkEvents(kind, body)
	}
	return nil
}

// addressEvents reads a struct ifaddrmsg (rtnetlink(7)) and its attributes.
func (n names) addressEvents(kind uint16, port uint32, body []byte) []Event {
	resync := []Event{{Kind: Resync}}
	if len(body) < unix.SizeofIfAddrmsg {
		return resync
	}
	bits := int(body[1])
	name, known := n[int32(binary.NativeEndian.Uint32(body[4:]))]
	attrs, ok := attributes(body[unix.SizeofIfAddrmsg:])
	if !ok || !known {
		return resync
	}
	// IPv6 sends only IFA_ADDRESS; IPv4 sends both, and if they differ IFA_ADDRESS is the peer of a point-to-point link.
	ip, ok := netip.AddrFromSlice(attrs[unix.IFA_ADDRESS])
	if local, has := netip.AddrFromSlice(attrs[unix.IFA_LOCAL]); has && local != ip {
		ip, ok, bits = local, true, local.BitLen()
	}
	if p := netip.PrefixFrom(ip, bits); ok && p.IsValid() {
		e := Event{Kind: AddressAdded, Interface: name, Prefix: p, Asked: port != 0}
		if kind == unix.RTM_DELADDR {
			e.Kind = AddressRemoved
		} else if c := attrs[unix.IFA_CACHEINFO]; len(c) >= 8 {
			e.Valid = remaining(binary.NativeEndian.Uint32(c[4:]))
		}
		return []Event{e}
	}
	return resync
}

// linkEvents reads a struct ifinfomsg (rtnetlink(7)) and its attributes.
func (n names) linkEvents(kind uint16, body []byte) []Event {
	resync := []Event{{Kind: Resync}}
	if len(body) < unix.SizeofIfInfomsg {
		return resync
	}
	if body[0] != unix.AF_UNSPEC {
		// A bridge reports its ports in the same messages; RTM_DELLINK then means that a port left the bridge, not that the
		// interface is gone.
		return nil
	}
	index := int32(binary.NativeEndian.Uint32(body[4:]))
	flags := binary.NativeEndian.Uint32(body[8:])
	attrs, ok := attributes(body[unix.SizeofIfInfomsg:])
	name := unix.ByteSliceToString(attrs[unix.IFLA_IFNAME])
	if !ok || name == "" {
		return resync
	}
	old, known := n[index]
	if kind == unix.RTM_DELLINK {
		delete(n, index)
		return []Event{{Kind: LinkRemoved, Interface: name}}
	}
	n[index] = name
	changed := Event{Kind: LinkChanged, Interface: name, Up: flags&unix.IFF_UP != 0, Carrier: hasCarrier(flags)}
	if known && old != name {
		return []Event{{Kind: LinkRemoved, Interface: old}, changed}
	}
	return []Event{changed}
}

// attributes splits a list of struct rtattr (rtnetlink(7)); ok is false when a length in it is wrong.
func attributes(b []byte) (found map[uint16][]byte, ok bool) {
	found = make(map[uint16][]byte)
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return found, false
		}
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		found[kind] = b[unix.SizeofRtAttr:size]
		aligned := (size + unix.RTA_ALIGNTO - 1) &^ (unix.RTA_ALIGNTO - 1)
		b = b[min(aligned, len(b)):]
	}
	return found, true
}
