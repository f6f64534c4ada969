package route

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// in looks a route up in a host.
func in[A, B any](h netnstest.Host, lookUp func(A) (B, error), of A) (found B, err error) {
	err = h.Enter(func() (failed error) {
		found, failed = lookUp(of)
		return failed
	})
	return found, err
}

func TestGateway(t *testing.T) {
	h := netnstest.New(t)
	ip := func(arguments string) { h.IP(t, "%s", arguments) }
	ip("link add eth0 type veth peer name far")
	ip("link set eth0 up")
	ip("link set far up")
	ip("addr add 10.77.0.11/24 dev eth0")
	ip("addr add 10.78.0.11/24 dev eth0")
	ip("addr add fd00:77::11/64 dev eth0 nodad")
	ip("addr add fd00:78::11/64 dev eth0 nodad")

	const own, second = "10.77.0.11", "10.78.0.11"
	const own6, second6 = "fd00:77::11", "fd00:78::11"
	steps := []struct {
		setUp, source, gateway string // gateway "" is none, "-" is ErrNoRoute
	}{
		{"", own, "-"},
		{"route add default via 10.77.0.254", own, "10.77.0.254"},
		{"", "10.99.0.1", "-"}, // not ours
		{"route add default via 10.78.0.1 table 100", own, "10.77.0.254"},
		{"rule add from 10.78.0.11 table 100", own, "10.77.0.254"},
		{"", second, "10.78.0.1"},
		{"route replace default dev eth0", own, ""},
		{"route replace unreachable default", own, "-"},

		{"", own6, "-"},
		{"-6 route add default via fd00:77::fe", own6, "fd00:77::fe"},
		{"-6 route add default via fe80::1 dev eth0 table 100", own6, "fd00:77::fe"},
		{"-6 rule add from fd00:78::11 table 100", own6, "fd00:77::fe"},
		{"", second6, "fe80::1"},
		{"-6 route replace default dev eth0", own6, ""},
		{"", "fd00:99::1", ""}, // not ours, which the kernel does not mind
		{"-6 route del default dev eth0", own6, "-"},
		{"-6 route add unreachable default", own6, "-"},
	}
	for _, s := range steps {
		if s.setUp != "" {
			ip(s.setUp)
		}
		got, err := in(h, Gateway, netip.MustParseAddr(s.source))
		var want netip.Addr
		if s.gateway != "" && s.gateway != "-" {
			want = netip.MustParseAddr(s.gateway)
		}
		if got != want || errors.Is(err, ErrNoRoute) != (s.gateway == "-") || (err != nil) != (s.gateway == "-") {
			t.Errorf("after ip %s: from %s: %v (%v), want %q", s.setUp, s.source, got, err, s.gateway)
		}
	}
}

func TestInterface(t *testing.T) {
	h := netnstest.New(t)
	for _, arguments := range []string{
		"link add eth0 type veth peer name eth1", "link set eth0 up", "link set eth1 up",
		"addr add 10.77.0.2/24 dev eth0", "addr add 10.79.0.2/24 dev eth1", "addr add fd00:79::2/64 dev eth1 nodad", "route add 10.79.0.12 dev eth0",
	} {
		h.IP(t, "%s", arguments)
	}
	for to, want := range map[string]string{"10.77.0.11": "eth0", "10.79.0.11": "eth1", "10.79.0.12": "eth0", "fd00:79::11": "eth1", "192.0.2.1": ""} {
		got, err := in(h, Interface, netip.MustParseAddr(to))
		if got != want || (want == "") != errors.Is(err, ErrNoRoute) {
			t.Errorf("%s: %q, %v, want %q", to, got, err, want)
		}
	}
}

// TestUndelivered: an address is delivered here if the table local says so, and no rule comes before it.
func TestUndelivered(t *testing.T) {
	h := netnstest.New(t)
	ip := func(commands ...string) {
		for _, arguments := range commands {
			h.IP(t, "%s", arguments)
		}
	}
	ip("link set lo up", "link add eth0 type veth peer name eth1", "link set eth0 up", "addr add 10.77.0.2/24 dev eth0",
		"addr add 10.77.0.100/32 dev lo", "addr add fd00:77::100/128 dev lo nodad")
	check := func(when string, want map[string]bool) {
		t.Helper()
		for a, delivered := range want {
			if got, err := in(h, Local, netip.MustParseAddr(a)); got != delivered || err != nil {
				t.Errorf("%s: %s: %t, %v", when, a, got, err)
			}
		}
	}
	check("at first", map[string]bool{"10.77.0.2": true, "10.77.0.100": true, "10.77.0.11": false, "192.0.2.1": false, "fd00:77::100": true, "fd00:77::101": false})
	at := kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/32")}
	if got, err := in(h, func(at kernel.IfAddr) ([]kernel.IfAddr, error) { return Undelivered([]kernel.IfAddr{at}) }, at); len(got) > 0 || err != nil {
		t.Errorf("with its interface: %v, %v", got, err)
	}
	ip("route del table local local 10.77.0.100 dev lo")
	check("without its route", map[string]bool{"10.77.0.2": true, "10.77.0.100": false})
	ip("rule add pref 1 lookup local", "rule del pref 0", "rule add pref 0 to 10.77.0.2 blackhole")
	check("with a rule before it", map[string]bool{"10.77.0.2": false, "fd00:77::100": true})
	ip("rule del pref 0", "rule add pref 0 to 10.77.0.2 prohibit")
	check("prohibited", map[string]bool{"10.77.0.2": false})
}

func TestNextHop(t *testing.T) {
	h := netnstest.New(t)
	for _, arguments := range []string{
		"link add eth0 type veth peer name far", "link set eth0 up", "link set far up", "addr add 10.77.0.2/24 dev eth0",
		"addr add fd00:77::2/64 dev eth0 nodad", "route add 10.78.0.0/24 via 10.77.0.254", "route add 10.77.0.13 via 10.77.0.254",
		"route add 10.79.0.0/24 dev eth0", "route add 10.80.0.0/24 via inet6 fe80::fe dev eth0", "route add 10.81.0.0/24 nexthop via 10.77.0.253 nexthop via 10.77.0.253",
		"-6 route add fd00:78::/64 via fd00:77::fe", "route add unreachable 10.82.0.0/24",
	} {
		h.IP(t, "%s", arguments)
	}
	for to, want := range map[string]string{
		"10.77.0.11": "invalid IP", "10.77.0.2": "invalid IP", "10.79.0.11": "invalid IP", "fd00:77::11": "invalid IP",
		"10.78.0.11": "10.77.0.254", "10.77.0.13": "10.77.0.254", "10.80.0.11": "fe80::fe", "10.81.0.11": "10.77.0.253", "fd00:78::11": "fd00:77::fe",
		"10.82.0.11": "", "192.0.2.1": "",
	} {
		got, err := in(h, NextHop, netip.MustParseAddr(to))
		if want == "" && !errors.Is(err, ErrNoRoute) || want != "" && (err != nil || got.String() != want) {
			t.Errorf("%s: %v, %v, want %q", to, got, err, want)
		}
	}
}
