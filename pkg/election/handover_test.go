package election

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestHandover: the MASTER keeps the VIPs until its successor has announced them, also if it reads that before the first
// advert of the successor, and does not defend them meanwhile.
func TestHandover(t *testing.T) {
	vip := netip.MustParseAddr("10.77.0.100")
	theirs := []kernel.Claim{{Address: vip, HardwareAddr: "02:00:00:00:00:03"}}
	for _, tt := range []struct {
		name    string
		claimed time.Duration // after the begin of the handover
		want    []string
	}{
		// The last advert before it at 9414 ms, 3 adverts and 156/256 s.
		{"announced", 3100 * time.Millisecond, []string{" 13023ms b acquire silent=false", " 13023ms a retain", " 13100ms a release"}},
		{"announced before the advert counts", 2900 * time.Millisecond, []string{" 13023ms b acquire silent=false", " 13023ms a retain", " 13023ms a release"}},
		{"not announced", time.Hour, []string{" 13023ms b acquire silent=false", " 13023ms a retain", " 14023ms a release"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN()
				a, b := l.join(t, "a", "10.77.0.2", 150), l.join(t, "b", "10.77.0.3", 100)
				time.Sleep(10 * time.Second)
				l.announcements()
				l.mu.Lock()
				l.log = nil
				l.mu.Unlock()
				a.HandOver(vrrp.HandOver{Reason: "an operator"})
				time.Sleep(time.Second)
				if s := a.Snapshot(); s.State != vrrp.Master || !s.Handover.Pending || !s.Handover.Done || s.Priority != vrrp.PriorityDegraded {
					t.Errorf("while it hands over: %+v", s)
				}
				time.AfterFunc(tt.claimed-time.Second, func() { a.Claimed(theirs, time.Now()) })
				time.Sleep(9 * time.Second)
				l.mu.Lock()
				var got []string
				for _, line := range l.log {
					if line[len(line)-8:] != "announce" { // of b: the last advert of a
						got = append(got, line)
					}
				}
				l.log = nil
				l.mu.Unlock()
				if len(got) != len(tt.want) {
					t.Fatalf("%q, want %q", got, tt.want)
				}
				for i := range got {
					if got[i] != tt.want[i] {
						t.Errorf("%q, want %q", got[i], tt.want[i])
					}
				}
				s := a.Snapshot()
				if s.State != vrrp.Backup || s.Handover.Pending || !s.Handover.Done || time.Since(s.Handover.Since).Round(time.Second) != 10*time.Second || len(s.Neighbours) > 0 {
					t.Errorf("after it: %+v", s)
				}
				a.TakeBack()
				time.Sleep(5 * time.Second)
				if s := a.Snapshot(); s.State != vrrp.Master || s.Handover.Done {
					t.Errorf("after it was taken back: %+v", s)
				}
				b.stop()
				a.stop()
			})
		})
	}
}

// TestPreempted: a MASTER that a better director preempts keeps the VIPs until that one has announced them, also if it reads
// that before its first advert. An older claim of another machine does not count.
func TestPreempted(t *testing.T) {
	vip := netip.MustParseAddr("10.77.0.100")
	const taken = " 13414ms a acquire silent=false" // 3 adverts and 106/256 s after its start
	for _, tt := range []struct {
		name    string
		claimed time.Duration // after the start of the better one
		waited  time.Duration // for how long it has been in the socket
		want    string
	}{
		{"announced", 3500 * time.Millisecond, 0, " 13500ms b release"},
		{"announced before the advert counts", 3 * time.Second, 0, " 13414ms b release"},
		{"announced before the advert counts, read late", 3 * time.Second, 500 * time.Millisecond, " 13414ms b release"},
		{"announced in time, read late", 3700 * time.Millisecond, time.Second, " 13700ms b release"},
		{"of the MASTER before this one, read late", 3 * time.Second, 10 * time.Second, " 14414ms b release"},
		{"claimed before", 2 * time.Second, 0, " 14414ms b release"},
		{"not announced", time.Hour, 0, " 14414ms b release"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN()
				b := l.join(t, "b", "10.77.0.3", 100)
				time.Sleep(10 * time.Second)
				l.announcements()
				a := l.join(t, "a", "10.77.0.2", 150)
				time.AfterFunc(tt.claimed, func() {
					b.Claimed([]kernel.Claim{{Address: vip, HardwareAddr: "02:00:00:00:00:02", Age: tt.waited}}, time.Now())
				})
				time.Sleep(3900 * time.Millisecond)
				if s := b.Snapshot(); s.State != vrrp.Backup || s.Handover.Done || len(s.Neighbours) > 0 {
					t.Errorf("%+v", s)
				}
				time.Sleep(5 * time.Second)
				l.mu.Lock()
				got := slices.DeleteFunc(slices.Clone(l.log), func(line string) bool { return strings.HasSuffix(line, "announce") })
				l.mu.Unlock()
				if want := []string{taken, " 13414ms b retain", tt.want}; !slices.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
				if s := b.Snapshot(); s.Handover.Pending {
					t.Errorf("after it: %+v", s)
				}
				a.stop()
				b.stop()
			})
		})
	}
}
