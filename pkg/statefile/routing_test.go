package statefile

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestRoutesAndRules are read as they were written; invalid ones are skipped.
func TestRoutesAndRules(t *testing.T) {
	dir := t.TempDir()
	routes := []kernel.Route{
		{Destination: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.77.0.1"), Interface: "eth0", Source: netip.MustParseAddr("10.77.0.100"), Table: 100, Metric: 5, OnLink: true},
		{Destination: netip.MustParsePrefix("fd00::/64"), Interface: "eth0", Table: 254, Scope: kernel.ScopeHost},
	}
	rules := []kernel.Rule{{Family: kernel.IPv6, Priority: 1000, From: netip.MustParsePrefix("fd00::1/128"), Mark: 7, Incoming: "eth0", Outgoing: "eth1", Table: 100}}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.RecordRouting(routes[1:], rules); err != nil {
		t.Fatal(err)
	}
	if err := l.RecordRouting(routes, rules); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if l, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.Routes(), routes) || !slices.Equal(l.Rules(), rules) {
		t.Errorf("%v %v, want %v %v", l.Routes(), l.Rules(), routes, rules)
	}
	if err := l.SetRouting(nil, nil); err != nil || len(l.Routes())+len(l.Rules()) > 0 {
		t.Errorf("%v: %v %v", err, l.Routes(), l.Rules())
	}
	_ = l.Close()
	b, err := decode([]byte(`{"version": 2, "routes": [{"destination": "nowhere"}, 7, {"table": 5}, {"destination": "10.1.0.0/16", "table": 254}], "rules": ["x", {"family": 4, "priority": 1, "table": 2}]}`))
	if err != nil || len(b.Routes) != 1 || len(b.Rules) != 1 {
		t.Errorf("%v: %v %v", err, b.Routes, b.Rules)
	}
}
