package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Bridge is a learning switch without an IP address.
type Bridge struct {
	Name     string
	n        *Network
	device   string
	recorder *Daemon
}

// Bridge creates a switch. The ARP and VRRP frames that it floods are captured for the evidence of a failed test.
func (n *Network) Bridge(name string) *Bridge {
	n.t.Helper()
	b := &Bridge{Name: name, n: n, device: fmt.Sprintf("br%d-%.9s", len(n.bridges), name)}
	// No spanning tree and no multicast snooping: the bridge forwards at once and floods VRRP, like an unmanaged
	// switch.
	n.batch(
		n.switchNS,
		"link add "+b.device+" type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
		"link set "+b.device+" up",
	)
	n.bridges = append(n.bridges, b)
	b.record()
	return b
}

// An Attachment is a port of a switch for one interface of a host.
type Attachment struct {
	bridge    *Bridge
	addresses []netip.Prefix
}

// At returns a port of the switch with the addresses that the host's interface gets, in prefix form ("10.77.0.2/24").
// No address at all is allowed.
func (b *Bridge) At(addresses ...string) Attachment {
	b.n.t.Helper()
	attachment := Attachment{bridge: b}
	for _, text := range addresses {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			b.n.t.Fatalf("lab: address of an interface: %v (write it as 10.77.0.2/24)", err)
		}
		attachment.addresses = append(attachment.addresses, prefix)
	}
	return attachment
}

// mac returns a MAC address that can be recognised in a capture: 02:4c (locally administered, L) and the four bytes of
// the IPv4 address.
func (a Attachment) mac() string {
	for _, prefix := range a.addresses {
		if ip := prefix.Addr(); ip.Is4() {
			b := ip.As4()
			return fmt.Sprintf("02:4c:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
		}
	}
	return ""
}

// Snoop makes the switch snoop IGMP (RFC 4541): it forwards the frames of a multicast group only to the ports whose hosts
// have reported it, once it has seen a querier. The switch itself is none. Groups of 224.0.0.0/24 are always flooded.
func (b *Bridge) Snoop() {
	b.n.t.Helper()
	b.n.batch(b.n.switchNS, "link set "+b.device+" type bridge mcast_snooping 1 mcast_querier 0")
}

// Members returns the lines of `bridge mdb` for a multicast group, one for each port with a member.
func (b *Bridge) Members(group string) (ports []string) {
	b.n.t.Helper()
	out, err := execute(b.n.switchNS, "", "bridge", "mdb", "show", "dev", b.device)
	if err != nil {
		b.n.t.Fatalf("lab: %v", err)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, " grp "+group+" ") && strings.Contains(line, " port p") {
			ports = append(ports, strings.TrimSpace(line))
		}
	}
	return ports
}

// Unregistered says whether the switch forwards multicast frames for whose group it knows no member, also those of
// 224.0.0.0/24 and ff02::/16: one that snoops without a querier and drops them delivers no adverts.
func (b *Bridge) Unregistered(forward bool) {
	b.n.t.Helper()
	out, err := execute(b.n.switchNS, "", "ip", "-o", "link", "show", "master", b.device)
	if err != nil {
		b.n.t.Fatalf("lab: %v", err)
	}
	flood := map[bool]string{true: "on", false: "off"}[forward]
	for line := range strings.Lines(out) {
		port, _, _ := strings.Cut(strings.Fields(line)[1], "@")
		b.n.batch(b.n.switchNS, "link set "+strings.TrimSuffix(port, ":")+" type bridge_slave mcast_flood "+flood)
	}
}
