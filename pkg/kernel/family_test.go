package kernel

import (
	"net/netip"
	"testing"
)

func TestFamily(t *testing.T) {
	for _, tt := range []struct {
		address string
		want    Family
		text    string
	}{
		{"10.77.0.100", IPv4, "IPv4"},
		{"0.0.0.0", IPv4, "IPv4"},
		{"fd00::100", IPv6, "IPv6"},
		{"fe80::1%eth0", IPv6, "IPv6"},
		{"::", IPv6, "IPv6"},
		{"::ffff:10.77.0.100", IPv6, "IPv6"},
		{"", 0, "no address family"},
	} {
		a, _ := netip.ParseAddr(tt.address)
		f := FamilyOf(a)
		if f != tt.want || f.String() != tt.text {
			t.Errorf("%q is of %s, want %s", tt.address, f, tt.text)
		}
		if u := f.Unspecified(); u.IsValid() != (tt.want != 0) || FamilyOf(u) != tt.want || u.IsValid() && !u.IsUnspecified() {
			t.Errorf("%q: every address of its family is %s", tt.address, u)
		}
	}
}
