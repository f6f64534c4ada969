package probe

import (
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/health"
)

func TestPing(t *testing.T) {
	ownNetwork(t, "addr add fd00::5/128 dev lo nodad")
	for _, one := range []struct {
		name, target, source string
		code                 health.Code
		class                health.Class
		cause                string
	}{
		{"an answer", "127.0.0.1", "", health.OK, health.Good, `127\.0\.0\.1 answered in .*`},
		{"from an address", "127.0.0.9", "127.0.0.2", health.OK, health.Good, `127\.0\.0\.9 answered in .*`},
		{"IPv6", "::1", "fd00::5", health.OK, health.Good, `::1 answered in .*`},
		{"an address that is not here", "127.0.0.1", "192.0.2.7", health.NoNetwork, health.Unknown, ".*cannot use its source address.*"},
		{"other families", "127.0.0.1", "::1", health.Local, health.Unknown, ".*not of the target's family"},
	} {
		target := &Target{Address: netip.AddrPortFrom(netip.MustParseAddr(one.target), 0)}
		if one.source != "" {
			target.Source = netip.MustParseAddr(one.source)
		}
		t.Log(one.name)
		check(t, Ping(within(t, time.Minute), target), one.code, one.class, "ping: "+one.cause)
	}
	check(t, Ping(within(t, time.Minute), &Target{}), health.Local, health.Unknown, "ping: .*no address to check")
}

// TestPingWithoutAnswer: the wait ends with the context.
func TestPingWithoutAnswer(t *testing.T) {
	ownNetwork(t, "link add sink type veth peer name end", "link set sink up", "link set end up", "addr add 192.0.2.1/24 dev sink",
		"neigh add 192.0.2.2 lladdr 02:00:00:00:00:99 dev sink") // nobody has this address
	target := &Target{Address: netip.MustParseAddrPort("192.0.2.2:0"), Source: netip.MustParseAddr("192.0.2.1")}
	check(t, Ping(within(t, 30*time.Millisecond), target), health.Timeout, health.Bad, `ping: 192\.0\.2\.2: no answer within 30ms`)
	check(t, Ping(within(t, time.Minute), &Target{Address: netip.MustParseAddrPort("198.51.100.1:0")}), health.NoNetwork, health.Unknown, `ping: .*no route there.*`)
}

// ownNetwork gives the test a network namespace with these settings.
func ownNetwork(t *testing.T, settings ...string) {
	t.Helper()
	require.Root(t)
	runtime.LockOSThread() // never unlocked: the thread, and with it the namespace, ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	ip := func(arguments string) string {
		out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v: %s", arguments, err, out)
		}
		return string(out)
	}
	ip("link set lo up")
	awaitLocal(t, ip, "::1")
	for _, s := range settings {
		ip(s)
		if words := strings.Fields(s); words[0] == "addr" && strings.Contains(words[2], ":") {
			address, _, _ := strings.Cut(words[2], "/")
			awaitLocal(t, ip, address)
		}
	}
}

// awaitLocal waits until the kernel delivers packets to an IPv6 address, which it does later than it adds the address
// (net/ipv6/addrconf.c, addrconf_dad_work). What is sent to it until then is lost.
func awaitLocal(t *testing.T, ip func(string) string, address string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(ip("-6 route show table local "+address), "local"); {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not become usable", address)
		}
	}
}

func TestEchoPackets(t *testing.T) {
	var token [tokenSize]byte
	copy(token[:], "0123456789abcdef")
	v4, v6 := echoOf(netip.MustParseAddr("192.0.2.1")), echoOf(netip.MustParseAddr("2001:db8::1"))
	p4, p6 := v4.request(token), v6.request(token)
	if p4[0] != 8 || p6[0] != 128 || p4[4] != '0' || p6[2] != 0 {
		t.Errorf("%x, %x", p4, p6)
	}
	header := append([]byte{0x45}, make([]byte, 19)...)
	reply := func(kind byte) []byte {
		p := p6
		p[0] = kind
		return p[:]
	}
	other := reply(0)
	other[echoSize-1]++
	for _, one := range []struct {
		name   string
		form   echoForm
		packet []byte
		want   bool
	}{
		{"IPv6", v6, reply(129), true},
		{"IPv4", v4, append(header, reply(0)...), true},
		{"the request itself", v4, append(header, reply(8)...), false},
		{"another request", v4, append(header, other...), false},
		{"short", v6, reply(129)[:echoSize-1], false},
		{"no packet", v4, nil, false},
		{"a short header", v4, []byte{0x4f, 0, 0}, false},
	} {
		if got := one.form.answers(one.packet, token); got != one.want {
			t.Errorf("%s: %t", one.name, got)
		}
	}
}

func FuzzEchoReply(f *testing.F) {
	f.Add([]byte{0x45}, true)
	f.Add(make([]byte, 64), false)
	f.Fuzz(func(t *testing.T, packet []byte, four bool) {
		form := echoOf(netip.IPv6Loopback())
		form.withHeader = four
		if form.answers(packet, [tokenSize]byte{1}) && len(packet) < echoSize {
			t.Error("a short packet is an answer")
		}
	})
}
