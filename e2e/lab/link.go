package lab

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Link is the cable between a host's interface and a switch. The methods that cut it and mend it do so with one request to
// the kernel: a program would take the guest's only CPU for 20 to 70 ms before it cuts, in which clients are answered late, and
// the packets that wait for the CPU are lost with the cable although the host behind it still works.
type Link struct {
	Device string // the host's interface: "eth0"

	host      *Host
	bridge    *Bridge
	port      string // the switch's end
	addresses []netip.Prefix
	filtered  bool
}

// A Direction is the direction of a fault, as seen from the host.
type Direction int

// The directions of frames.
const (
	BothWays Direction = iota
	ToHost
	FromHost
)

// VRRP is the filter expression for VRRP adverts, for Drop and package capture.
const VRRP = "ip proto 112"

func (l *Link) create(netns, mac string) []string {
	peer := fmt.Sprintf("link add %s type veth peer name %s", l.port, l.Device)
	if mac != "" {
		peer += " address " + mac
	}
	return []string{
		peer + " netns " + netns,
		fmt.Sprintf("link set %s master %s", l.port, l.bridge.device),
		fmt.Sprintf("link set %s addrgenmode none", l.port), // a switch port sends nothing by itself
		"link set " + l.port + " up",
	}
}

// CarrierDown takes the switch's end down: the host sees NO-CARRIER, as when its cable is pulled.
func (l *Link) CarrierDown() {
	l.host.n.t.Helper()
	l.change("take down", netlink.LinkSetDown)
}

// CarrierUp undoes CarrierDown.
func (l *Link) CarrierUp() {
	l.host.n.t.Helper()
	l.change("set up", netlink.LinkSetUp)
}

// SetMTU sets the MTU of both ends.
func (l *Link) SetMTU(bytes int) {
	l.host.n.t.Helper()
	l.ip(fmt.Sprintf("link set %s mtu %d", l.port, bytes))
	l.host.Run("ip", "link", "set", l.Device, "mtu", fmt.Sprint(bytes))
}

// Unplug drops every frame in both directions while the carrier stays up, as when a cable behind another switch is
// pulled. The switch keeps its learned addresses.
func (l *Link) Unplug() {
	l.host.n.t.Helper()
	l.change("disable", func(port netlink.Link) error { return setPortState(port, portDisabled) })
}

// Plug undoes Unplug.
func (l *Link) Plug() {
	l.host.n.t.Helper()
	l.change("enable", func(port netlink.Link) error { return setPortState(port, portForwarding) })
}

// Drop drops the frames that match a tcpdump(8) expression, at the switch, so that the sender does not notice. The
// filters of several calls accumulate until StopDropping.
//
//	link.Drop(lab.FromHost, lab.VRRP)   // drops the host's adverts
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

// StopDropping removes the filters of all Drop calls.
func (l *Link) StopDropping() {
	l.host.n.t.Helper()
	if l.filtered {
		l.tool("tc", "qdisc", "del", "dev", l.port, "clsact")
		l.filtered = false
	}
}

// hooks returns the tc hooks of the switch port: what the host sends is ingress there.
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

// compile converts tcpdump's BPF program for a tc classifier. On a match tcpdump's program returns the snapshot length,
// so a length of 2 gives TC_ACT_SHOT. No match returns 0, which would be TC_ACT_OK and end the search; it is replaced
// by TC_ACT_UNSPEC so that the next filter is tried (include/uapi/linux/pkt_cls.h).
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

// Netem shapes the link in both directions with tc-netem(8): "delay 5ms loss 1%". A delay applies once per direction. A
// second call replaces the first.
func (l *Link) Netem(words string) {
	l.host.n.t.Helper()
	l.tool(append([]string{"tc", "qdisc", "replace", "dev", l.port, "root", "netem"}, strings.Fields(words)...)...)
	l.host.Run(append([]string{"tc", "qdisc", "replace", "dev", l.Device, "root", "netem"}, strings.Fields(words)...)...)
}

// NetemOff undoes Netem.
func (l *Link) NetemOff() {
	l.host.n.t.Helper()
	l.tool("tc", "qdisc", "del", "dev", l.port, "root")
	l.host.Run("tc", "qdisc", "del", "dev", l.Device, "root")
}

// change applies a change to the switch's end.
func (l *Link) change(what string, apply func(port netlink.Link) error) {
	l.host.n.t.Helper()
	err := l.host.n.switchNS.do(func() error {
		port, err := netlink.LinkByName(l.port)
		if err != nil {
			return err
		}
		return apply(port)
	})
	if err != nil {
		l.host.n.t.Fatalf("lab: %s the switch's port of link %s of %s: %v", what, l.Device, l.host.Name, err)
	}
}

// The states of a switch port (include/uapi/linux/if_bridge.h).
const (
	portDisabled   = 0
	portForwarding = 3
)

// setPortState does what `bridge link set dev PORT state STATE` does (br_setlink in net/bridge/br_netlink.c).
func setPortState(port netlink.Link, state uint8) error {
	request := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	message := nl.NewIfInfomsg(unix.AF_BRIDGE)
	message.Index = int32(port.Attrs().Index)
	request.AddData(message)
	options := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
	options.AddRtAttr(nl.IFLA_BRPORT_STATE, []byte{state})
	request.AddData(options)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func (l *Link) ip(line string) {
	l.host.n.t.Helper()
	l.host.n.batch(l.host.n.switchNS, line)
}

// tool runs a stock tool in the switch's namespace.
func (l *Link) tool(argv ...string) string {
	l.host.n.t.Helper()
	out, err := execute(l.host.n.switchNS, "", argv...)
	if err != nil {
		l.host.n.t.Fatalf("lab: link %s of %s: %v", l.Device, l.host.Name, err)
	}
	return out
}

// Learned reports whether the switch has learned a MAC address at the link, and so sends frames for it to the host only.
func (l *Link) Learned(mac string) bool {
	l.host.n.t.Helper()
	out := l.tool("bridge", "fdb", "show", "dev", l.port)
	return strings.Contains(out, mac+" ")
}
