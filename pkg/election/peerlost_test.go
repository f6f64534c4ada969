package election

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// The loss of the MASTER makes a BACKUP take over at once; another one that finds an advert of the first on its socket
// does not.
func TestLostPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := pair(t)
		c := l.join(t, "c", "10.77.0.4", 120)
		time.Sleep(1500 * time.Millisecond)
		lost := vrrp.PeerLost{Source: a.address, Silent: 30 * time.Millisecond}
		l.mu.Lock()
		l.log, l.cut[a.address], l.frozen[b.address] = nil, true, true
		l.mu.Unlock()
		if !c.PeerLost(lost) {
			t.Error("not taken")
		}
		synctest.Wait()
		if !b.PeerLost(lost) {
			t.Error("not taken")
		}
		synctest.Wait()
		l.expect(t, "  6500ms c acquire silent=true")
		if got := b.Snapshot(); got.State != vrrp.Backup || got.Master != c.address {
			t.Errorf("%s, %s", got.State, got.Reason)
		}
		if got := c.Snapshot(); got.State != vrrp.Master || got.FalseAlarms != 0 || got.DoubtedFor != 0 {
			t.Errorf("%+v", got)
		}
		l.mu.Lock()
		l.cut[a.address] = false
		l.mu.Unlock()
		time.Sleep(time.Second) // a was alive
		if got := c.Snapshot(); got.State != vrrp.Backup || got.FalseAlarms != 1 || got.DoubtedFor < 9*time.Second {
			t.Errorf("%+v", got)
		}
		a.stop()
		b.stop()
		c.stop()
		if b.PeerLost(lost); b.Snapshot().State == vrrp.Master {
			t.Error("MASTER after the end")
		}
	})
}
