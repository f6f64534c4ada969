package election

import (
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

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

// TestExcludedAddressElsewhere: another virtual router that advertises an excluded address is reported, as for the others.
func TestExcludedAddressElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		excluded, other := netip.MustParseAddr("10.77.0.101"), netip.MustParseAddr("10.77.0.9")
		p := vrrp.Params{VRID: 51, Version: 3, Priority: 100, AdvertInterval: time.Second, Source: netip.MustParseAddr("10.77.0.2")}
		a := New(Options{Name: "mysql", Params: p, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100")}, Excluded: []netip.Addr{excluded}, Log: slog.New(slog.DiscardHandler), Holder: &port{lan: newLAN(), who: "a"}})
		group := netip.MustParseAddr("224.0.0.18")
		advert, err := vrrp.Packet{Version: 3, VRID: 52, Priority: 50, Interval: time.Second, Addresses: []netip.Addr{excluded}}.Append(nil, other, group, vrrp.PseudoHeaderChecksum)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(time.Second)
			a.receive(vrrp.Datagram{Payload: advert, Source: other, Destination: group, TTL: 255})
		}
		found := a.sightings.Report(a.now(), vrrp.View{Params: p, State: vrrp.Master})
		if len(found) != 1 || found[0].Kind != vrrp.VIPsElsewhere {
			t.Errorf("%+v", found)
		}
	})
}
