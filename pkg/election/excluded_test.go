package election

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestClaimsOfExcludedAddresses: a VIP that is not in the adverts is watched for claims of other machines like the others.
func TestClaimsOfExcludedAddresses(t *testing.T) {
	listed, excluded := netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.101")
	p := vrrp.Params{VRID: 51, Version: 3, Priority: 100, AdvertInterval: 1e9, Source: netip.MustParseAddr("10.77.0.2")}
	a := New(Options{Name: "mysql", Params: p, Addresses: []netip.Addr{listed}, Excluded: []netip.Addr{excluded}, Log: slog.New(slog.DiscardHandler)})
	watched := func(want bool) {
		t.Helper()
		if !a.lists([]netip.Addr{listed}) || a.lists([]netip.Addr{excluded}) != want {
			t.Errorf("watched: %v", a.vips())
		}
	}
	watched(true)
	a.Set(Desired{Params: p, Addresses: []netip.Addr{listed}})
	watched(false)
	a.Set(Desired{Params: p, Addresses: []netip.Addr{listed}, Excluded: []netip.Addr{excluded}})
	watched(true)
}
