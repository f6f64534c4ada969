package host

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// fakeListener hears a claim to each address of its family.
type fakeListener struct {
	family kernel.Family
	closed *int
}

func (l fakeListener) Close() { *l.closed++ }

func (l fakeListener) Claims(addresses []netip.Addr) (all []kernel.Claim, err error) {
	for _, a := range addresses {
		if kernel.FamilyOf(a) == l.family {
			all = append(all, kernel.Claim{Address: a})
		}
	}
	return all, nil
}

// Each family has its listener, which is opened when the first address of it is asked for, and once.
func TestClaimsOfBothFamilies(t *testing.T) {
	opened, closed, broken := 0, 0, false
	c := claims{listen: func(family kernel.Family) (listener, error) {
		opened++
		if broken {
			return nil, errors.New("not Ethernet")
		}
		return fakeListener{family, &closed}, nil
	}}
	four, six := netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("fd00:77::100")
	for n, tt := range []struct {
		ask    []netip.Addr
		found  int
		opened int
	}{
		{nil, 0, 0},
		{[]netip.Addr{four}, 1, 1},
		{[]netip.Addr{four, six}, 2, 2},
		{[]netip.Addr{six, six}, 2, 2},
		{[]netip.Addr{four}, 1, 2},
	} {
		if got := c.of(tt.ask); len(got) != tt.found || opened != tt.opened {
			t.Errorf("%d: %v, %d opened", n, got, opened)
		}
	}
	c.close()
	if got := c.of([]netip.Addr{four}); len(got) != 0 || opened != 2 || closed != 2 {
		t.Errorf("closed: %v, %d opened, %d closed", got, opened, closed)
	}
	broken = true
	c = claims{listen: c.listen}
	for range 2 {
		if got := c.of([]netip.Addr{four}); len(got) != 0 || opened != 3 {
			t.Errorf("without ARP: %v, %d opened", got, opened)
		}
	}
	c.close()
}
