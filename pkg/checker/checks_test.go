package checker

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// TestChecks: in whatever order the checks of one target are removed, the others are found.
func TestChecks(t *testing.T) {
	target := netip.MustParseAddrPort("10.77.0.11:3306")
	make := func(target netip.AddrPort, fall int) *check {
		return &check{id: plan.CheckID{Target: target, Check: config.Check{Kind: config.TCPCheck{}, Fall: fall}}}
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		all := checks{}
		other := make(netip.MustParseAddrPort("10.77.0.12:3306"), 1)
		all.add(other)
		var left []*check
		for fall := range 3 {
			left = append(left, make(target, fall))
			all.add(left[fall])
		}
		of := slices.Clone(left)
		for _, n := range order {
			all.remove(of[n])
			left = slices.DeleteFunc(left, func(k *check) bool { return k == of[n] })
			for _, k := range of {
				want := k
				if !slices.Contains(left, k) {
					want = nil
				}
				if got := all.find(k.id); got != want {
					t.Errorf("%v: after %d, fall %d: found %p, want %p", order, n, k.id.Check.Fall, got, want)
				}
			}
			if got := len(slices.Collect(all.all())); got != len(left)+1 || all.find(other.id) != other {
				t.Errorf("%v: after %d: %d checks, want %d", order, n, got, len(left)+1)
			}
		}
	}
}
