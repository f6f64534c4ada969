package realserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/route"
)

// TestFilterOfTunnels: the outer packet of a tunnel is judged by its own protocol and the rules of its own family.
func TestFilterOfTunnels(t *testing.T) {
	const open = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
	closed, only4, only41 := inputs(), inputs("-p ipencap -j ACCEPT"), inputs("-p ipv6 -j ACCEPT")
	rules := func(tool, saved string) ruleset {
		parsed, err := firewall.ParseSave(tool, saved)
		return ruleset{rules: parsed, err: err}
	}
	for name, tt := range map[string]struct {
		vip, server string
		four, six   string
		blocked     bool
	}{
		"IPv6 in IPv4, all closed for IPv4":   {"fd00::100", rip, closed, open, true},
		"IPv6 in IPv4, its protocol accepted": {"fd00::100", rip, only41, open, false},
		"IPv6 in IPv4, that of IPv4 accepted": {"fd00::100", rip, only4, open, true},
		"IPv6 in IPv4, closed for IPv6":       {"fd00::100", rip, open, closed, true},
		"IPv6 in IPv6":                        {"fd00::100", "fd00::11", closed, inputs("-p ipv6 -j ACCEPT", "-p tcp -m tcp --dport 3306 -j ACCEPT"), false},
		"IPv4 in IPv6, all closed for IPv6":   {vip, "fd00::11", open, closed, true},
		"IPv4 in IPv6, its protocol accepted": {vip, "fd00::11", open, only4, false},
	} {
		cfg := cluster(config.TUN)
		v := &cfg.VirtualServers[0]
		v.Address, v.RealServers[0].Address = netip.MustParseAddr(tt.vip), netip.MustParseAddr(tt.server)
		a := New(Options{})
		a.cfg, a.addresses = cfg, []addr.Address{{Interface: "eth0", Prefix: netip.PrefixFrom(v.RealServers[0].Address, 24)}}
		a.filter.read = func(context.Context, kernel.Family) (firewall.Rules, error) { return firewall.Rules{}, nil }
		known := map[kernel.Family]ruleset{kernel.IPv4: rules("iptables", tt.four), kernel.IPv6: rules("ip6tables", tt.six)}
		a.filter.known.Store(&known)
		m := Desired(cfg, nil, node).Memberships[0]
		if why := a.blocked(m); (why != "") != tt.blocked {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// TestAnswersOfAnotherFamily: a machine that has nothing of the VIP's family cannot answer, which no check notices.
func TestAnswersOfAnotherFamily(t *testing.T) {
	cfg := cluster(config.TUN)
	v := &cfg.VirtualServers[0]
	v.Address = netip.MustParseAddr("fd00::100")
	at := kernel.IfAddr{Interface: tunnel64, Prefix: netip.MustParsePrefix("fd00::100/128")}
	sit := addr.Link{Index: 9, Name: tunnel64, Up: true, Kind: "sit"}
	for name, tt := range map[string]struct {
		route error
		more  []addr.Address
		up    bool
	}{
		"a route":                     {nil, nil, true},
		"no route, but an address":    {route.ErrNoRoute, []addr.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00::11/64"), Global: true}}, true},
		"neither":                     {route.ErrNoRoute, nil, false},
		"an address of the link only": {route.ErrNoRoute, []addr.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::11/64")}}, false},
		"unknown":                     {errors.New("no buffers"), nil, true},
	} {
		a := New(Options{Names: []string{node}})
		a.cfg = cfg
		a.e.Gateway = func(netip.Addr) (netip.Addr, error) {
			return netip.Addr{}, fmt.Errorf("route: %w", tt.route)
		}
		if tt.route == nil {
			a.e.Gateway = func(netip.Addr) (netip.Addr, error) { return netip.Addr{}, nil }
		}
		a.gateways = a.readGateways()
		links := []addr.Link{lo, eth0, sit}
		want := Desired(cfg, links, node)
		have := Found{Links: links, Addresses: append(tt.more, addr.Address{Interface: at.Interface, Prefix: at.Prefix}), Sysctls: want.Sysctls}
		if m := a.membership(want.Memberships[0], want, have); (m.State == "up") != tt.up || !tt.up && !strings.Contains(m.Reason, "answers cannot leave") {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestIPv6IsOff: where IPv6 is off and cannot be turned on, the VIPs of IPv4 are added, and the problem says what to set.
func TestIPv6IsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		key := disableIPv6("lo")
		m.mu.Lock()
		m.sysctls[key] = "1"
		m.mu.Unlock()
		m.failing("sysctl "+key, kernel.ErrNotPermitted)
		cfg := cluster(config.DR, config.DR)
		v := &cfg.VirtualServers[1]
		v.Name, v.Address, v.RealServers[0].Address = "six", netip.MustParseAddr("fd00::100"), netip.MustParseAddr("fd00::11")
		m.start(cfg)
		m.pass(2 * time.Second)
		s := m.agent.Snapshot()
		if s.VirtualServers[0].State != "up" || s.VirtualServers[1].State == "up" {
			t.Errorf("%+v", s.VirtualServers)
		}
		if text := strings.Join(s.Problems, "\n"); !strings.Contains(text, "IPv6 is off on lo: sysctl -w "+key+"=0") {
			t.Errorf("%s", text)
		}
		m.failing("sysctl "+key, nil)
		m.pass(2 * time.Second)
		if got := m.agent.Snapshot().VirtualServers[1]; !strings.HasPrefix(got.Reason, "down: nothing listens") && got.State != "up" {
			t.Errorf("%+v", got)
		}
		_ = m.stop()
	})
}
