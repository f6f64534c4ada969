package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestInterop: a pair of one lvs-director and one keepalived 2.2.7, as during a migration: either hands over to the
// other, by a graceful stop and by falling silent, and both never hold the VIP for longer than an advert is on its way.
//
// Proves README.md: "VRRP version 3 (RFC 9568) and 2 (RFC 3768) on IPv4, preempting or not, together with keepalived as
// a peer."
func TestInterop(t *testing.T) {
	for _, r := range []rhythm{{3, calm}, {2, time.Second}} {
		for _, one := range []struct {
			name           string
			master, backup product
		}{
			{"keepalived is the backup", ours, theirs},
			{"keepalived is the master", theirs, ours},
		} {
			t.Run(r.String()+"/"+one.name, func(t *testing.T) {
				t.Parallel()
				if r.version == 2 {
					longOnly(t) // half a minute each
				}
				interoperate(t, r, one.master, one.backup)
			})
		}
	}
}

func interoperate(t *testing.T, r rhythm, master, backup product) {
	c := newCluster(t, shape{version: r.version, advert: r.advert.String()})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}
	undisputed := func(when string) {
		t.Helper()
		// A loser gives up on the winner's first advert; what more there is, is the machine.
		if both := overlap(watches[0], watches[1]); both > within(300*time.Millisecond) {
			t.Errorf("%s: both held the VIP for %s: %v and %v", when, both, watches[0].tenures(), watches[1].tenures())
		}
	}
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	master.start(c.master, r)
	backup.start(c.backup, r)
	c.awaitHolder(c.master, soon)
	c.steady(c.master, r)
	undisputed("after the start")

	goodbye, starved := time.Now(), withoutCPU()
	c.master.daemon.Stop()
	adverts.Wait(`10\.77\.0\.2 > 224\.0\.0\.18: .*prio 0,`, soon)
	taken := watches[1].since(goodbye)
	if took := taken.from.Sub(goodbye) - starved(); took > within(r.skew()+500*time.Millisecond) {
		t.Errorf("%s took over %s after %s said good-bye, want the skew %s", backup.name, took, master.name, r.skew())
	}
	c.steady(c.backup, r)
	undisputed("after a graceful stop")

	master.start(c.master, r)
	c.awaitHolder(c.master, soon)
	c.steady(c.master, r)
	undisputed("after a preemption")

	silent := time.Now()
	starved = withoutCPU()
	c.master.Link("eth0").Unplug()
	c.master.daemon.Kill()
	c.master.Run("ip", "addr", "flush", "to", heldBy) // of keepalived it would stay for ever
	taken = watches[1].since(silent)
	if took := taken.from.Sub(silent); took < 2*r.advert || took-starved() > within(r.masterDown()+500*time.Millisecond) {
		t.Errorf("%s took over %s after %s fell silent, want the master-down interval %s", backup.name, took, master.name, r.masterDown())
	}
	c.master.Link("eth0").Plug()
	c.steady(c.backup, r)
	undisputed("after a silence")
	master.start(c.master, r)
	c.awaitHolder(c.master, soon)

	c.backup.daemon.Stop()
	c.steady(c.master, r)
	undisputed("in the end")
	for _, p := range adverts.Stop() {
		if len(capture.Matching([]capture.Packet{p}, `prio (150|100|0), `)) == 0 {
			t.Errorf("a strange advert: %s", p.Text)
		}
	}
}

// steady sees for three adverts that the node alone holds the VIP.
func (c *cluster) steady(n *node, r rhythm) {
	c.t.Helper()
	c.awaitHolder(n, soon)
	lab.Steadily(c.t, 3*r.advert, func() error { return c.heldOnlyBy(n) })
}

// since waits for a tenure that the host began after an event.
func (w *vipWatch) since(event time.Time) (found tenure) {
	w.n.t.Helper()
	lab.Eventually(w.n.t, soon, func() error {
		for _, held := range w.tenures() {
			if held.from.After(event) {
				found = held
				return nil
			}
		}
		return fmt.Errorf("%s has not taken the VIP since %s: %v", w.n.Name, event, w.tenures())
	})
	return found
}
