package plan

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestExcludedAddresses: an excluded address is treated as a VIP everywhere, except in the adverts.
func TestExcludedAddresses(t *testing.T) {
	excluded := netip.MustParsePrefix("10.77.0.101/32")
	at := kernel.IfAddr{Interface: "eth0", Prefix: excluded}
	cfg := vipFile()
	cfg.Instances[0].ExcludedAddresses = []netip.Prefix{excluded}
	cfg.VirtualServers[0].Address = excluded.Addr()
	in := inputs(cfg)
	in.Addresses = []kernel.Address{
		{Interface: "eth0", Prefix: excluded, Valid: 1, Global: true},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.9/24"), Global: true},
	}
	p := Of(in)
	outer := p.Instances[0]
	if slices.Contains(outer.Advertised, excluded.Addr()) || !slices.Equal(outer.Excluded, []netip.Addr{excluded.Addr()}) {
		t.Errorf("advertised %v, excluded %v", outer.Advertised, outer.Excluded)
	}
	if !slices.Contains(outer.VIPs().Addresses, excluded) {
		t.Error("it is not held")
	}
	if outer.Params.Source != netip.MustParseAddr("10.77.0.9") {
		t.Errorf("the source of adverts is %s", outer.Params.Source)
	}
	if got := p.Sources.Route(excluded.Addr()); got.IsValid() {
		t.Errorf("checks are sent from %s", got)
	}
	if !slices.Contains(p.Records, at) || !slices.Contains(ClaimsOf(cfg, node).Records, at) {
		t.Errorf("it is not recorded: %v", p.Records)
	}
	if !slices.Contains(p.Misplaced, at) {
		t.Errorf("it comes before the own address, and only these are misplaced: %v", p.Misplaced)
	}
	if len(outer.pools) != 1 {
		t.Error("its virtual server does not count for the fitness of the director")
	}
	in.Addresses = in.Addresses[1:]
	if p := Of(in); !slices.Contains(p.Missing, at) {
		t.Errorf("it is gone, and only these are missing: %v", p.Missing)
	}
	before := vipFile()
	before.VirtualServers = nil
	if added := (Inputs{Config: before, Next: cfg, Node: node}).OnNewVIPs(); !slices.Equal(added, []lvs.Key{lvs.KeyOf(cfg.VirtualServers[0])}) {
		t.Errorf("virtual servers on new VIPs: %v", added)
	}
	moved := &config.Config{Directors: cfg.Directors, Instances: slices.Clone(cfg.Instances)}
	moved.Instances[0].ExcludedAddresses = nil
	if without := Of(inputs(moved)); without.Instances[0].equal(outer) {
		t.Error("instances with and without it are the same to the election")
	}
}
