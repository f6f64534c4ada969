package election

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestDegradedMasterInAFlood: the snapshot has the priority that a degraded director advertises, and a flood of adverts that
// it answers does not keep the advert of a healthy director from it.
func TestDegradedMasterInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a := l.join(t, "a", "10.77.0.9", 150)
		a.Stalled("stalled")
		time.Sleep(5 * time.Second)
		if s := a.Snapshot(); s.State != vrrp.Master || s.Priority != vrrp.PriorityDegraded {
			t.Fatalf("%s with priority %d, want a MASTER with priority %d", s.State, s.Priority, vrrp.PriorityDegraded)
		}
		advert := vrrp.Packet{Version: 3, VRID: 51, Priority: 1, Interval: time.Second, Addresses: a.addresses}
		for i := range 50 {
			deliver(t, a, advert, "10.77.0."+string(rune('2'+i%5)))
		}
		advert.Priority = 100
		deliver(t, a, advert, "10.77.0.8")
		synctest.Wait()
		s := a.Snapshot()
		if s.State != vrrp.Fault || s.MasterPriority != 100 {
			t.Errorf("%s, and the MASTER's priority is %d", s.State, s.MasterPriority)
		}
		if s.Dropped[vrrp.DropFlood.String()] == 0 {
			t.Errorf("dropped %v: no flood", s.Dropped)
		}
		a.Stalled("")
		synctest.Wait()
		if s := a.Snapshot(); s.State != vrrp.Backup || s.Priority != 150 {
			t.Errorf("%s with priority %d, want a BACKUP with priority 150", s.State, s.Priority)
		}
		a.stop()
	})
}
