package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Link is the cable between an interface of a host and a switch.
type Link struct {
	Device string // the host's interface: "eth0"

	host      *Host
	bridge    *Bridge
	port      string // the switch's end
	addresses []netip.Prefix
	filtered  bool
}

// A Direction says which way a fault works, seen from the host.
type Direction int

// The ways a frame can go.
const (
	BothWays Direction = iota
	ToHost
	FromHost
)

// VRRP is the filter expression of VRRP adverts, for Drop and Capture.
const VRRP = "ip proto 112"

func (l *Link) create(netns, mac string) []string {
	peer := fmt.Sprintf("link add %s type veth peer name %s", l.port, l.Device)
	if mac != "" {
		peer += " address " + mac
	}
	return []string{
		peer + " netns " + netns,
		fmt.Sprintf("link set %s master %s", l.port, l.bridge.device),
		"link set " + l.port + " up",
	}
}

// CarrierDown takes the far end down: the host sees NO-CARRIER, as when a
// cable is pulled at its own socket.
func (l *Link) CarrierDown() { l.host.n.t.Helper(); l.wire("link set " + l.port + " down") }

// CarrierUp is the end of CarrierDown.
func (l *Link) CarrierUp() { l.host.n.t.Helper(); l.wire("link set " + l.port + " up") }

// Unplug drops every frame both ways while the carrier stays, as when the
// cable behind a far switch is pulled. The switch keeps what it has learned.
func (l *Link) Unplug() {
	l.host.n.t.Helper()
	l.tool("bridge", "link", "set", "dev", l.port, "state", "disabled")
}

// Plug is the end of Unplug.
func (l *Link) Plug() {
	l.host.n.t.Helper()
	l.tool("bridge", "link", "set", "dev", l.port, "state", "forwarding")
}

// Drop drops the frames that match an expression of tcpdump(8) at the
// switch: the sender does not notice. Calls add up until DropNothing.
//
//	link.Drop(lab.FromHost, lab.VRRP)   // its adverts reach nobody
//	link.Drop(lab.BothWays, "tcp port 3306")
func (l *Link) Drop(way Direction, expression string) {
	l.host.n.t.Helper()
	code := l.compile(expression)
	if !l.filtered {
		l.tool("tc", "qdisc", "add", "dev", l.port, "clsact")
		l.filtered = true
	}
	for _, hook := range way.hooks() {
		l.tool("tc", "filter", "add", "dev", l.port, hook, "bpf", "direct-action", "bytecode", code)
	}
}

// DropNothing is the end of every Drop.
func (l *Link) DropNothing() {
	l.host.n.t.Helper()
	if l.filtered {
		l.tool("tc", "qdisc", "del", "dev", l.port, "clsact")
		l.filtered = false
	}
}

// hooks are seen from the switch: what the host sends comes in there.
func (d Direction) hooks() []string {
	switch d {
	case ToHost:
		return []string{"egress"}
	case FromHost:
		return []string{"ingress"}
	default:
		return []string{"ingress", "egress"}
	}
}

// compile makes a program for tc's classifier out of tcpdump's. A match
// returns the snapshot length, so a length of 2 says TC_ACT_SHOT; no match
// returns 0, which would be TC_ACT_OK and end the search: it becomes
// TC_ACT_UNSPEC, so that filters add up (include/uapi/linux/pkt_cls.h).
func (l *Link) compile(expression string) string {
	l.host.n.t.Helper()
	out := l.tool("tcpdump", "-ddd", "-y", "EN10MB", "-s", "2", expression)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, line := range lines {
		if line == "6 0 0 0" {
			lines[i] = "6 0 0 4294967295"
		}
	}
	return strings.Join(lines, ",")
}

// Netem shapes the link both ways with tc-netem(8): "delay 5ms loss 1%".
// A delay counts once in each direction. A second call replaces the first.
func (l *Link) Netem(words string) {
	l.host.n.t.Helper()
	l.tool(append([]string{"tc", "qdisc", "replace", "dev", l.port, "root", "netem"}, strings.Fields(words)...)...)
	l.host.Run(append([]string{"tc", "qdisc", "replace", "dev", l.Device, "root", "netem"}, strings.Fields(words)...)...)
}

// NetemOff is the end of Netem.
func (l *Link) NetemOff() {
	l.host.n.t.Helper()
	l.tool("tc", "qdisc", "del", "dev", l.port, "root")
	l.host.Run("tc", "qdisc", "del", "dev", l.Device, "root")
}

func (l *Link) wire(line string) {
	l.host.n.t.Helper()
	l.host.n.batch(l.host.n.wires, line)
}

// tool runs a stock tool at the switch.
func (l *Link) tool(argv ...string) string {
	l.host.n.t.Helper()
	out, err := execute(l.host.n.wires, "", argv...)
	if err != nil {
		l.host.n.t.Fatalf("lab: link %s of %s: %v", l.Device, l.host.Name, err)
	}
	return out
}
