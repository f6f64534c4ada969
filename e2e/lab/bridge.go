package lab

import (
	"fmt"
	"net/netip"
)

// A Bridge is a switch: it floods, learns, and has no address of its own.
type Bridge struct {
	Name     string
	n        *Network
	device   string
	recorder *Daemon
}

// Bridge makes a switch. What it floods of ARP and VRRP is recorded for the
// evidence of a failed test.
func (n *Network) Bridge(name string) *Bridge {
	n.t.Helper()
	b := &Bridge{Name: name, n: n, device: fmt.Sprintf("br%d-%.9s", len(n.bridges), name)}
	// No spanning tree and no multicast snooping: frames flow at once and
	// VRRP is flooded, as on the plain switches of the field.
	n.batch(
		n.wires,
		"link add "+b.device+" type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
		"link set "+b.device+" up",
	)
	n.bridges = append(n.bridges, b)
	b.record()
	return b
}

// An Attachment is a place on a switch for one interface of a host.
type Attachment struct {
	bridge    *Bridge
	addresses []netip.Prefix
}

// At is a place on the switch with the addresses that the host's interface
// gets there, in prefix form ("10.77.0.2/24"). None at all is allowed.
func (b *Bridge) At(addresses ...string) Attachment {
	b.n.t.Helper()
	place := Attachment{bridge: b}
	for _, text := range addresses {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			b.n.t.Fatalf("lab: address of an interface: %v (write it as 10.77.0.2/24)", err)
		}
		place.addresses = append(place.addresses, prefix)
	}
	return place
}

// mac makes an address of a hardware that a reader of a capture recognises:
// 02:4c (locally administered, L) and the four bytes of the IPv4 address.
func (a Attachment) mac() string {
	for _, prefix := range a.addresses {
		if ip := prefix.Addr(); ip.Is4() {
			b := ip.As4()
			return fmt.Sprintf("02:4c:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
		}
	}
	return ""
}
