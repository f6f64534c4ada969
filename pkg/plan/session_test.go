package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestSessions: the BFD sessions of a director: with routers that it tracks, and with the other directors, once for all
// instances of an interface.
func TestSessions(t *testing.T) {
	const text = `version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}, {name: c, address: 10.77.0.4}]
bfd_sessions:
  - {name: upstream, interface: eth1, address: 10.78.0.1, interval: 50ms, multiplier: 4, passive: true}
  - {name: unused, interface: eth1, address: 10.78.0.9}
vrrp_instances:
  - {name: one, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100], peer_bfd: {interval: 100ms}, tracks: [upstream]}
  - {name: two, interface: eth0, virtual_router_id: 52, virtual_addresses: [10.77.0.101], peer_bfd: {interval: 100ms}}
`
	cfg, problems := config.Parse("cluster.yaml", []byte(text))
	if cfg == nil {
		t.Fatal(problems)
	}
	in := Inputs{Config: cfg, Node: "a", Looked: true}
	for n, p := range []string{"10.77.0.2/24", "10.78.0.2/24"} {
		name := fmt.Sprintf("eth%d", n)
		in.Links = append(in.Links, kernel.Link{Index: n + 2, Name: name, Up: true, Carrier: true})
		in.Addresses = append(in.Addresses, kernel.Address{Interface: name, Prefix: netip.MustParsePrefix(p), Global: true})
	}
	show := func(p Plan) string {
		var lines []string
		for _, s := range p.Sessions {
			lines = append(lines, fmt.Sprintf("%s %s %s>%s %dx%s passive=%t track=%s peers=%d %v", s.Name, s.On, s.Source, s.Neighbour, s.BFD.Multiplier, s.BFD.Interval, s.Passive, s.Tracks, len(s.Peers), s.Users))
		}
		return strings.Join(lines, "\n")
	}
	want := `upstream eth1 10.78.0.2>10.78.0.1 4x50ms passive=true track=[upstream] peers=0 [one]
b eth0 10.77.0.2>10.77.0.3 3x100ms passive=false track=[] peers=2 [one two]
c eth0 10.77.0.2>10.77.0.4 3x100ms passive=false track=[] peers=2 [one two]`
	p := Of(in)
	if got := show(p); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	in.Addresses[1].Prefix = netip.MustParsePrefix("10.78.0.3/24")
	changed := Of(in)
	if !strings.Contains(show(changed), "10.78.0.3>10.78.0.1") || !strings.Contains(fmt.Sprint(Transition(p, changed)), "set the BFD sessions") || strings.Contains(fmt.Sprint(Transition(p, p)), "BFD") {
		t.Errorf("%s\n%s", show(changed), Transition(p, changed))
	}
	six, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]
vrrp_instances:
  - {name: six, interface: eth0, virtual_router_id: 51, virtual_addresses: ['fd77::100'], peer_bfd: {addresses: ['fe80::2', 'fe80::3']}}
`))
	if six == nil {
		t.Fatal(problems)
	}
	in.Config, in.Addresses = six, append(in.Addresses, kernel.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::2/64")})
	if got := show(Of(in)); got != "fe80::3 eth0 (IPv6) fe80::2>fe80::3 3x100ms passive=false track=[] peers=1 [six]" {
		t.Errorf("IPv6: %s", got)
	}
	in.Config, in.Next = &config.Config{}, cfg // a start: the elections do not run yet
	if got := show(Of(in)); strings.Count(got, "\n") != 2 {
		t.Errorf("at the start: %s", got)
	}
}

// TestSessionSource: over IPv6 a session with a global address comes from a global one, of the neighbour's network if there is
// one, and never from a VIP; one with a link-local address from a link-local one.
func TestSessionSource(t *testing.T) {
	address := func(s string, global bool) kernel.Address {
		return kernel.Address{Interface: "eth0", Prefix: netip.MustParsePrefix(s), Global: global}
	}
	all := []kernel.Address{
		address("fe80::2/64", false), address("fd00::100/64", true), address("fd77::2/64", true), address("fd00::2/64", true), address("10.77.0.2/24", true),
	}
	vip := func(a netip.Addr) bool { return a == netip.MustParseAddr("fd00::100") }
	for _, tt := range []struct {
		neighbour string
		have      []kernel.Address
		want      string
	}{
		{"fd00::1", all, "fd00::2"},
		{"fd77::1", all, "fd77::2"},
		{"fd99::1", all, "fd77::2"},
		{"fe80::1", all, "fe80::2"},
		{"fd00::1", all[:2], "fe80::2"},
		{"10.77.0.1", all, "10.77.0.2"},
	} {
		neighbour := netip.MustParseAddr(tt.neighbour)
		id := SessionID{vrrp.Segment{Interface: "eth0", Family: kernel.FamilyOf(neighbour)}, neighbour}
		got := Inputs{Addresses: tt.have}.sessionSource(id, config.Director{Name: "a", Address: netip.MustParseAddr("10.77.0.2")}, vip)
		if got != netip.MustParseAddr(tt.want) {
			t.Errorf("to %s with %d addresses: from %s, want %s", tt.neighbour, len(tt.have), got, tt.want)
		}
	}
}
