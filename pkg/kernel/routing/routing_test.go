package routing

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// network makes a host with eth0 (10.77.0.2/24, fd00:77::2/64) and two VIPs, and returns a handle in it and ip(8).
func network(t *testing.T) (*Handle, func(arguments string) string) {
	t.Helper()
	host := netnstest.New(t)
	ip := func(arguments string) string { return host.IP(t, "%s", arguments) }
	ip("link add eth0 type veth peer name far")
	ip("link set eth0 up")
	ip("link set far up")
	ip("addr add 10.77.0.2/24 dev eth0")
	ip("addr add 10.77.0.100/32 dev eth0")
	ip("addr add fd00:77::2/64 dev eth0 nodad")
	ip("addr add fd00:77::100/128 dev eth0 nodad")
	var h *Handle
	host.Do(t, func() (err error) {
		h, err = Open()
		return err
	})
	t.Cleanup(func() { h.Close() })
	return h, ip
}

func destination(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func host(s string) netip.Addr          { return netip.MustParseAddr(s) }

// TestRoutes: each route is listed as it was added, is in no table after its removal, and never replaces or removes one
// of another program.
func TestRoutes(t *testing.T) {
	h, ip := network(t)
	all := []kernel.Route{
		{Destination: destination("0.0.0.0/0"), Via: host("10.77.0.254"), Interface: "eth0", Table: kernel.MainTable},
		{Destination: destination("0.0.0.0/0"), Via: host("10.77.0.254"), Interface: "eth0", Source: host("10.77.0.100"), Table: 100, Metric: 50},
		{Destination: destination("10.99.0.0/16"), Via: host("10.77.0.253"), Table: 1000},
		{Destination: destination("10.98.0.0/16"), Interface: "eth0", Table: kernel.MainTable, Scope: kernel.ScopeLink, Metric: 4294967295},
		{Destination: destination("10.97.0.1/32"), Via: host("192.0.2.1"), Interface: "eth0", Table: kernel.MainTable, OnLink: true},
		{Destination: destination("::/0"), Via: host("fd00:77::fe"), Interface: "eth0", Source: host("fd00:77::100"), Table: kernel.MainTable},
		{Destination: destination("fd00:99::/64"), Via: host("fe80::1"), Interface: "eth0", Table: 100, Metric: 50},
		{Destination: destination("fd00:98::/64"), Interface: "eth0", Table: kernel.MainTable},
	}
	foreign := []string{
		"route add default via 10.77.0.1 dev eth0 metric 7", "route add default via 10.77.0.1 dev eth0 table 100", "route add 10.55.0.0/16 via 10.77.0.1",
		"-6 route add default via fd00:77::1 dev eth0 metric 7", "-6 route add fd00:99::/64 via fd00:77::1 dev eth0",
	}
	for _, route := range foreign {
		ip(route)
	}
	before := tables(ip)
	for _, r := range all {
		if err := h.Add(r); err != nil {
			t.Fatal(err)
		}
		if err := h.Add(r); !errors.Is(err, ErrExists) {
			t.Errorf("added %s twice: %v", r, err)
		}
	}
	found, err := h.Routes()
	if err != nil || len(found) != len(all) {
		t.Errorf("%d routes, %v; want %d: %v", len(found), err, len(all), found)
	}
	for _, want := range all {
		if !slices.ContainsFunc(found, func(r kernel.Route) bool { return r.Is(want) }) {
			t.Errorf("%s is not among %v", want, found)
		}
	}
	for _, r := range all {
		if err := errors.Join(h.Remove(r), h.Remove(r)); err != nil {
			t.Error(err)
		}
	}
	if after := tables(ip); after != before {
		t.Errorf("after the removal:\n%s\nwant:\n%s", after, before)
	}
}

func tables(ip func(string) string) string {
	return ip("route show table all") + ip("-6 route show table all") + ip("rule") + ip("-6 rule")
}

// TestForeignRoutes: a route of another program with the same destination, table and metric is neither replaced nor
// removed.
func TestForeignRoutes(t *testing.T) {
	h, ip := network(t)
	ip("route add default via 10.77.0.1 dev eth0 table 100")
	ip("-6 route add default via fd00:77::1 dev eth0 table 100")
	before := tables(ip)
	for _, r := range []kernel.Route{
		{Destination: destination("0.0.0.0/0"), Via: host("10.77.0.254"), Interface: "eth0", Table: 100},
		{Destination: destination("0.0.0.0/0"), Via: host("10.77.0.1"), Interface: "eth0", Table: 100},
		{Destination: destination("::/0"), Via: host("fd00:77::fe"), Interface: "eth0", Table: 100},
		{Destination: destination("::/0"), Via: host("fd00:77::1"), Interface: "eth0", Table: 100},
	} {
		if err := h.Add(r); !errors.Is(err, ErrExists) {
			t.Errorf("add %s: %v", r, err)
		}
		if err := h.Remove(r); err != nil {
			t.Error(err)
		}
		if after := tables(ip); after != before {
			t.Errorf("%s:\n%s\nwant:\n%s", r, after, before)
		}
	}
}

// TestRoutesThatCannotBeAdded: the errors say why.
func TestRoutesThatCannotBeAdded(t *testing.T) {
	h, ip := network(t)
	ip("link add eth1 type veth peer name far1")
	for _, tt := range []struct {
		route kernel.Route
		want  error
	}{
		{kernel.Route{Destination: destination("10.99.0.0/16"), Interface: "eth9", Table: kernel.MainTable}, kernel.ErrNoInterface},
		{kernel.Route{Destination: destination("10.99.0.0/16"), Via: host("192.0.2.1"), Interface: "eth0", Table: kernel.MainTable}, errUnreachable},
		{kernel.Route{Destination: destination("10.99.0.0/16"), Via: host("10.77.0.1"), Interface: "eth0", Source: host("10.77.0.3"), Table: kernel.MainTable}, errInvalid},
		{kernel.Route{Destination: destination("10.99.0.0/16"), Interface: "eth1", Table: kernel.MainTable, Scope: kernel.ScopeLink}, errUnreachable},
		{kernel.Route{Destination: destination("fd00:99::/64"), Via: host("fd00:77::1"), Interface: "eth0", Source: host("fd00:77::3"), Table: kernel.MainTable}, errInvalid},
	} {
		if err := h.Add(tt.route); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.route, err, tt.want)
		}
	}
}

// TestRules: as for routes.
func TestRules(t *testing.T) {
	h, ip := network(t)
	all := []kernel.Rule{
		{Family: kernel.IPv4, Priority: 1000, From: destination("10.77.0.100/32"), Table: 100},
		{Family: kernel.IPv4, Priority: 1001, To: destination("10.99.0.0/16"), Incoming: "eth0", Table: 1000},
		{Family: kernel.IPv4, Priority: 1002, Mark: 7, Outgoing: "eth0", Table: kernel.MainTable},
		{Family: kernel.IPv6, Priority: 1000, From: destination("fd00:77::100/128"), Table: 100},
		{Family: kernel.IPv6, Priority: 1003, Mark: 4294967295, Table: 4294967294},
	}
	ip("rule add from 10.77.0.100 table 101 priority 1000")
	ip("rule add from 10.77.0.100 table 100 priority 1004")
	before := tables(ip)
	for _, r := range all {
		if err := h.AddRule(r); err != nil {
			t.Fatal(err)
		}
		if err := h.AddRule(r); !errors.Is(err, ErrExists) {
			t.Errorf("added %s twice: %v", r, err)
		}
	}
	if found, err := h.Rules(); err != nil || !slices.Equal(found, all) {
		t.Errorf("%v, %v; want %v", found, err, all)
	}
	for _, r := range all {
		if err := errors.Join(h.RemoveRule(r), h.RemoveRule(r)); err != nil {
			t.Error(err)
		}
	}
	if after := tables(ip); after != before {
		t.Errorf("after the removal:\n%s\nwant:\n%s", after, before)
	}
	ip("rule add from 10.77.0.100 table 100 priority 1000")
	before = tables(ip)
	if err := h.AddRule(all[0]); !errors.Is(err, ErrExists) {
		t.Errorf("beside an equal one of another program: %v", err)
	}
	if err := h.RemoveRule(all[0]); err != nil || tables(ip) != before {
		t.Errorf("the rule of another program: %v\n%s", err, tables(ip))
	}
}
