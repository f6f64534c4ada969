package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/health"
)

const rejected = `a rule of this director's own packet filter rejects it .*`

func TestClassifyOwnReject(t *testing.T) {
	refused := errors.Join(errRejectedHere, os.NewSyscallError("connect", unix.ECONNREFUSED))
	late := errors.Join(errRejectedHere, context.DeadlineExceeded)
	for _, err := range []error{refused, late} {
		if code, class, _ := classify(err, time.Second); code != health.NoNetwork || class != health.Unknown {
			t.Errorf("%v: %s/%s, want no_network/unknown", err, code, class)
		}
	}
	for errno, want := range map[unix.Errno]health.Code{
		unix.EACCES:       health.Unreachable, // ICMPv6: administratively prohibited
		unix.ECONNREFUSED: health.Refused,
		unix.EHOSTUNREACH: health.Unreachable,
		unix.ENETUNREACH:  health.NoNetwork,
	} {
		if code, _, _ := classify(errors.Join(errRejectedThere, os.NewSyscallError("connect", errno)), time.Second); code != want {
			t.Errorf("%v of another host: %s, want %s", errno, code, want)
		}
	}
	between := errors.Join(errRejectedThere, rejectedBetween{netip.MustParseAddr("10.77.0.1")}, os.NewSyscallError("connect", unix.ECONNREFUSED))
	if code, class, sentence := classify(between, time.Second); code != health.Unreachable || class != health.Bad || !strings.HasSuffix(sentence, "rejects it: 10.77.0.1") {
		t.Errorf("%s/%s %s", code, class, sentence)
	}
	if code, _, _ := classify(errors.Join(errRejectedHere, context.Canceled), time.Second); code != health.Local {
		t.Errorf("a cancelled check: %s, want local", code)
	}
}

// TestOffender: the sender of an ICMP error, of the types that a rule can send and no other cause of this machine.
func TestOffender(t *testing.T) {
	message := func(level, kind int32, origin, icmpType, code byte, from string) unix.SocketControlMessage {
		data := make([]byte, extendedErrorLength)
		data[4], data[5], data[6] = origin, icmpType, code
		a := netip.MustParseAddr(from)
		if a.Is4() {
			data = binary.NativeEndian.AppendUint16(data, unix.AF_INET)
			data = append(append(data, 0, 0), a.AsSlice()...)
			data = append(data, make([]byte, 8)...)
		} else {
			data = binary.NativeEndian.AppendUint16(data, unix.AF_INET6)
			data = append(append(data, 0, 0, 0, 0, 0, 0), a.AsSlice()...)
			data = append(data, 0, 0, 0, 0)
		}
		return unix.SocketControlMessage{Header: unix.Cmsghdr{Level: level, Type: kind}, Data: data}
	}
	four := func(origin, icmpType, code byte) unix.SocketControlMessage {
		return message(unix.SOL_IP, unix.IP_RECVERR, origin, icmpType, code, "10.77.0.2")
	}
	six := func(origin, icmpType, code byte) unix.SocketControlMessage {
		return message(unix.SOL_IPV6, unix.IPV6_RECVERR, origin, icmpType, code, "fd00:77::2")
	}
	short := four(unix.SO_EE_ORIGIN_ICMP, 3, 3)
	short.Data = short.Data[:extendedErrorLength+4]
	none := six(unix.SO_EE_ORIGIN_ICMP6, 1, 1)
	none.Data = none.Data[:4]
	for name, c := range map[string]struct {
		message unix.SocketControlMessage
		want    string // "": none
	}{
		"port unreachable":           {four(unix.SO_EE_ORIGIN_ICMP, 3, 3), "10.77.0.2"},
		"network unreachable":        {four(unix.SO_EE_ORIGIN_ICMP, 3, 0), "10.77.0.2"},
		"prohibited":                 {four(unix.SO_EE_ORIGIN_ICMP, 3, 13), "10.77.0.2"},
		"no answer to ARP":           {four(unix.SO_EE_ORIGIN_ICMP, 3, 1), ""},
		"time exceeded":              {four(unix.SO_EE_ORIGIN_ICMP, 11, 0), ""},
		"of this kernel":             {four(unix.SO_EE_ORIGIN_LOCAL, 3, 3), ""},
		"IPv6: port unreachable":     {six(unix.SO_EE_ORIGIN_ICMP6, 1, 4), "fd00:77::2"},
		"IPv6: prohibited":           {six(unix.SO_EE_ORIGIN_ICMP6, 1, 1), "fd00:77::2"},
		"IPv6: no neighbor":          {six(unix.SO_EE_ORIGIN_ICMP6, 1, 3), ""},
		"IPv6: packet too big":       {six(unix.SO_EE_ORIGIN_ICMP6, 2, 0), ""},
		"an ICMP error of IPv4 only": {six(unix.SO_EE_ORIGIN_ICMP, 3, 3), ""},
		"another control message":    {message(unix.SOL_IP, unix.IP_PKTINFO, unix.SO_EE_ORIGIN_ICMP, 3, 3, "10.77.0.2"), ""},
		"without a sender":           {message(unix.SOL_IP, unix.IP_RECVERR, unix.SO_EE_ORIGIN_ICMP, 3, 3, "0.0.0.0"), ""},
		"IPv6: without a sender":     {message(unix.SOL_IPV6, unix.IPV6_RECVERR, unix.SO_EE_ORIGIN_ICMP6, 1, 4, "::"), ""},
		"cut off":                    {short, ""},
		"empty":                      {none, ""},
	} {
		got, found := offender(c.message)
		if found != (c.want != "") || found && got != netip.MustParseAddr(c.want) {
			t.Errorf("%s: %v, %t, want %q", name, got, found, c.want)
		}
	}
}

// director puts the thread of the test into the network namespace of a director, whose only neighbor is a server. It
// returns a function that runs commands in the server's namespace.
func director(t *testing.T) (onServer func(commands ...string)) {
	t.Helper()
	require.Root(t)
	for _, program := range []string{"iptables-legacy", "ip6tables-legacy"} {
		if _, err := exec.LookPath(program); err != nil {
			require.Skip(t, require.Iptables, "%v", err)
		}
	}
	runtime.LockOSThread() // never unlocked: the thread, and with it the director, ends with the test
	var handles [2]netns.NsHandle
	for i := range handles {
		h, err := netns.New() // and enters it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		handles[i] = h
	}
	onServer = func(commands ...string) {
		t.Helper()
		if err := netns.Set(handles[0]); err != nil {
			t.Fatal(err)
		}
		shell(t, commands...)
		if err := netns.Set(handles[1]); err != nil {
			t.Fatal(err)
		}
	}
	shell(t, "ip link set lo up", fmt.Sprintf("ip link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d", os.Getpid(), int(handles[0])),
		"ip addr add 10.77.0.2/24 dev eth0", "ip addr add fd00:77::2/64 dev eth0 nodad", "ip link set eth0 up")
	onServer("ip link set lo up",
		"ip addr add 10.77.0.11/24 dev eth0", "ip addr add fd00:77::11/64 dev eth0 nodad", "ip link set eth0 up")
	for out := ""; !strings.Contains(out, "state UP"); out = shell(t, "ip link show eth0") {
	}
	shell(t, "ip addr add 10.77.0.3/24 dev eth0") // a second one, which is no source of its network
	return onServer
}

func shell(t *testing.T, commands ...string) string {
	t.Helper()
	var all string
	for _, c := range commands {
		words := strings.Fields(c)
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", c, err, out)
		}
		all += string(out)
	}
	return all
}

// descriptors returns the open files of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestOwnReject: the ICMP error of a rule of this machine is told from one of the server, in both families, with a
// source and without, and no probe leaves a descriptor open.
func TestOwnReject(t *testing.T) {
	onServer := director(t)
	four, six := netip.MustParseAddrPort("10.77.0.11:3306"), netip.MustParseAddrPort("[fd00:77::11]:3306")
	check(t, TCP(within(t, 20*time.Second), &Target{Address: four}), health.Refused, health.Bad, `tcp: dial .*: connection refused`)
	check(t, TCP(within(t, 20*time.Second), &Target{Address: six}), health.Refused, health.Bad, `tcp: dial .*: connection refused`)
	before := descriptors(t)

	for _, kind := range []string{"icmp-port-unreachable", "icmp-net-prohibited", "icmp-admin-prohibited"} {
		rule := " OUTPUT -p tcp --dport 3306 -j REJECT --reject-with " + kind
		shell(t, "iptables-legacy -A"+rule)
		for _, source := range []netip.Addr{{}, netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.3")} {
			got := TCP(within(t, 20*time.Second), &Target{Address: four, Source: source})
			check(t, got, health.NoNetwork, health.Unknown, `tcp: dial 10\.77\.0\.11:3306: `+rejected)
		}
		shell(t, "iptables-legacy -D"+rule)
	}
	for _, kind := range []string{"icmp6-port-unreachable", "icmp6-adm-prohibited"} {
		rule := " OUTPUT -p tcp --dport 3306 -j REJECT --reject-with " + kind
		shell(t, "ip6tables-legacy -A"+rule)
		for _, source := range []netip.Addr{{}, netip.MustParseAddr("fd00:77::2")} {
			got := TCP(within(t, 20*time.Second), &Target{Address: six, Source: source})
			check(t, got, health.NoNetwork, health.Unknown, `tcp: dial \[fd00:77::11\]:3306: `+rejected)
		}
		shell(t, "ip6tables-legacy -D"+rule)
	}

	onServer("iptables-legacy -A INPUT -p tcp --dport 3306 -j REJECT", "ip6tables-legacy -A INPUT -p tcp --dport 3306 -j REJECT")
	for _, target := range []netip.AddrPort{four, six} {
		check(t, TCP(within(t, 20*time.Second), &Target{Address: target}), health.Refused, health.Bad, `tcp: dial .*: connection refused`)
	}
	onServer("iptables-legacy -F INPUT", "ip6tables-legacy -F INPUT", "iptables-legacy -A INPUT -p tcp --dport 3306 -j REJECT --reject-with icmp-admin-prohibited",
		"ip6tables-legacy -A INPUT -p tcp --dport 3306 -j REJECT --reject-with icmp6-adm-prohibited")
	check(t, TCP(within(t, 20*time.Second), &Target{Address: four}), health.Unreachable, health.Bad, `tcp: dial .*: no route to host .*`)
	check(t, TCP(within(t, 20*time.Second), &Target{Address: six}), health.Unreachable, health.Bad, `tcp: dial .*: a packet filter or route of the server, .*`)
	// A router rejects what it would forward to a server behind it.
	onServer("sysctl -q -w net.ipv4.ip_forward=1", "ip route add 10.88.0.0/24 dev eth0", "iptables-legacy -A FORWARD -j REJECT")
	shell(t, "ip route add 10.88.0.0/24 via 10.77.0.11")
	check(t, TCP(within(t, 20*time.Second), &Target{Address: netip.MustParseAddrPort("10.88.0.5:3306")}),
		health.Unreachable, health.Bad, `tcp: dial .*: a router or firewall on the way rejects it: 10\.77\.0\.11`)
	// This machine reports itself by ICMP that nobody answers ARP.
	shell(t, "sysctl -q -w net.ipv4.neigh.eth0.retrans_time_ms=100", "sysctl -q -w net.ipv6.neigh.eth0.retrans_time_ms=100")
	for _, nobody := range []string{"10.77.0.99:3306", "[fd00:77::99]:3306"} {
		got := TCP(within(t, 20*time.Second), &Target{Address: netip.MustParseAddrPort(nobody)})
		check(t, got, health.Unreachable, health.Bad, `tcp: dial .*: no route to host .*`)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files after the probes, %d before", after, before)
	}
}

// TestProbesLeaveNoDescriptor: of probes that succeed, fail and are too late.
func TestProbesLeaveNoDescriptor(t *testing.T) {
	l := listen(t)
	open, closed, full := l.Addr().(*net.TCPAddr).AddrPort(), closedPort(t), fullBacklog(t)
	TCP(within(t, 5*time.Second), &Target{Address: open}) // the descriptors of the poller
	before := descriptors(t)
	for range 10 {
		check(t, TCP(within(t, 5*time.Second), &Target{Address: open}), health.OK, health.Good, `.*`)
		check(t, TCP(within(t, 5*time.Second), &Target{Address: closed}), health.Refused, health.Bad, `.*`)
		check(t, TCP(within(t, 20*time.Millisecond), &Target{Address: full}), health.Timeout, health.Bad, `.*`)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files after the probes, %d before", after, before)
	}
}

// TestErrorQueueIsOffAfterTheDial: with the queue on, any ICMP error would end the connection of a check that logs in.
func TestErrorQueueIsOffAfterTheDial(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dial(within(t, 5*time.Second), &Target{Address: l.Addr().(*net.TCPAddr).AddrPort()})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.raw.Control(func(fd uintptr) {
			level, option := unix.SOL_IP, unix.IP_RECVERR
			if address == "[::1]:0" {
				level, option = unix.SOL_IPV6, unix.IPV6_RECVERR
			}
			if value, err := unix.GetsockoptInt(int(fd), level, option); err != nil || value != 0 {
				t.Errorf("%s: the option is %d (%v), want 0", address, value, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Close(), l.Close()
	}
}
