package reconcile

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLeaseTimerLapses(t *testing.T) {
	for _, c := range []struct {
		name string
		now  time.Duration
		want bool
	}{
		{"just renewed", 10 * time.Second, false},
		{"a third", 11 * time.Second, false},
		{"just before", 13*time.Second - 1, false},
		{"at the lease", 13 * time.Second, true},
		{"long after", time.Hour, true},
	} {
		held := leaseTimer{lease: 3 * time.Second, renewed: 10 * time.Second, added: true}
		if got := held.lapsed(c.now); got != c.want {
			t.Errorf("%s: lapsed(%s) = %t, want %t", c.name, c.now, got, c.want)
		}
	}
}

// A lease whose renewals are each late by less than two thirds of the lease never lapses.
func TestLeaseTimerRenewedInTimeNeverLapses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lease := time.Duration(rapid.IntRange(3, 60).Draw(t, "lease")) * time.Second
		now := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "start"))
		held := newLeaseTimer(now, lease)
		for range 20 {
			late := time.Duration(rapid.Int64Range(0, int64(lease)*2/3-1).Draw(t, "late"))
			now = held.renewAt() + late
			if held.lapsed(now) {
				t.Fatalf("lapsed at %s, %s late", now, late)
			}
			held.renew(now, lease)
		}
	})
}
