package vrrp

import (
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestAdvertSize compares sizes with those of packets, and the numbers of addresses with those sizes.
func TestAdvertSize(t *testing.T) {
	for _, c := range []struct {
		version   uint8
		family    kernel.Family
		mtu, most int
	}{
		{2, kernel.IPv4, 576, 135},
		{3, kernel.IPv4, 576, 137},
		{3, kernel.IPv4, 1500, 255},
		{3, kernel.IPv6, 1500, 90},
		{3, kernel.IPv6, 1280, 77},
		{3, kernel.IPv6, 9000, 255},
		{2, kernel.IPv4, 36, 0},
		{3, kernel.IPv4, 0, 0},
		{3, kernel.IPv4, -5, 0},
	} {
		most := MostAddresses(c.version, c.family, c.mtu)
		if most != c.most || most > 0 && AdvertSize(c.version, c.family, most) > c.mtu || most < 255 && AdvertSize(c.version, c.family, most+1) <= c.mtu {
			t.Errorf("%+v: %d", c, most)
		}
		src, dst, address, header := master, group, vip, 20
		if c.family == kernel.IPv6 {
			src, address = netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fe80::100")
			dst, header = Group(kernel.IPv6), 40
		}
		p := Packet{Version: c.version, VRID: 51, Priority: 100, Interval: sec, Addresses: []netip.Addr{address, address, address}}
		b, err := p.Append(nil, src, dst, PlainChecksum)
		if err != nil || header+len(b) != AdvertSize(c.version, c.family, 3) {
			t.Errorf("%+v: %d bytes, %v", c, header+len(b), err)
		}
	}
}
