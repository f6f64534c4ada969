package reconcile

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLeaseTimerAnnouncesFiveSecondsAfterAResignedPeer(t *testing.T) {
	got := announcements(newLeaseTimer(time.Second, 5*time.Second, false))
	want := []time.Duration{1000, 2100, 3200, 4300, 5400}
	check(t, got, want)
}

func TestLeaseTimerAnnouncesUntilTheLeaseOfASilentPeerHasLapsed(t *testing.T) {
	got := announcements(newLeaseTimer(0, 5*time.Second, true))
	if last := got[len(got)-1]; last < 5900*time.Millisecond || last > 7*time.Second {
		t.Errorf("the last announcement is at %s, want between the lease + 0.9 s and lease + 2 s", last)
	}
	for i := 1; i < len(got); i++ {
		if got[i]-got[i-1] < time.Second {
			t.Errorf("announcements at %s and %s are closer than a neighbour's locktime of 1 s", got[i-1], got[i])
		}
	}
}

func TestLateAnnouncementsAreNotLost(t *testing.T) {
	held := newLeaseTimer(0, 5*time.Second, false)
	n := 0
	for at, ok := held.nextAnnouncement(); ok; at, ok = held.nextAnnouncement() {
		n++
		held.announced(at + 90*time.Millisecond)
	}
	if n != 5 {
		t.Errorf("%d announcements in 5 s when each is 90 ms late, want 5", n)
	}
	held.announced(held.announceAt + 10*time.Second)
	if next, _ := held.nextAnnouncement(); next < held.since+15*time.Second {
		t.Errorf("after a stall the next announcement is at %s, within the locktime of the late one", next)
	}
}

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
		held := newLeaseTimer(now, lease, rapid.Bool().Draw(t, "silent"))
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

func announcements(held leaseTimer) []time.Duration {
	var all []time.Duration
	for range 100 {
		at, ok := held.nextAnnouncement()
		if !ok {
			return all
		}
		all = append(all, at)
		held.announced(at)
	}
	return all
}

func check(t *testing.T, got, milliseconds []time.Duration) {
	t.Helper()
	if len(got) != len(milliseconds) {
		t.Fatalf("announcements at %v, want at %v ms", got, milliseconds)
	}
	for i := range got {
		if got[i] != milliseconds[i]*time.Millisecond {
			t.Errorf("announcement %d at %s, want at %d ms", i, got[i], milliseconds[i])
		}
	}
}
