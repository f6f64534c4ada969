package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestInterop: a pair of one lvs-director and one keepalived 2.2.7, as during a migration. Each takes over from the
// other after a graceful stop and after a silence, and both hold the VIP at the same time only until the loser receives
// an advert.
//
// Proves docs/index.md: "VRRP version 3 (RFC 9568) on IPv4 and IPv6 and version 2 (RFC 3768) on IPv4, with or without
// preemption, interoperable with keepalived (version 3, or version 2 with or without a password)."
func TestInterop(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	for _, r := range []timing{{3, relaxedAdvert}, {2, time.Second}} {
		for _, one := range []struct {
			name           string
			master, backup product
		}{
			{"keepalived is the backup", lvsDirector, keepalived},
			{"keepalived is the master", keepalived, lvsDirector},
		} {
			t.Run(r.String()+"/"+one.name, func(t *testing.T) {
				if r.version == 2 {
					lab.LongPart(t) // half a minute each
				}
				interoperate(t, r, one.master, one.backup)
			})
		}
	}
}

func interoperate(t *testing.T, r timing, master, backup product) {
	c := newCluster(t, shape{version: r.version, advert: r.advert.String(), more: resignsAtOnce})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}
	undisputed := func(when string) {
		t.Helper()
		// A loser gives up the VIP when it receives the winner's first advert.
		if both := overlap(watches[0], watches[1]); both > 300*time.Millisecond {
			t.Errorf("%s: both held the VIP for %s: %v and %v", when, both, watches[0].periods(), watches[1].periods())
		}
	}
	segment := c.segment()
	takesOver := func(begun time.Time, what string, least, most time.Duration) {
		t.Helper()
		watches[1].awaitPeriodSince(begun)
		// keepalived adds the VIP before it announces it; an announcement of an earlier takeover does not count.
		lab.Eventually(t, soon, func() error {
			if len(capture.Matching(announcements(segment.Packets(), c.backup, begun, time.Now()), "ARP")) == 0 {
				return fmt.Errorf("%s has announced nothing since %s", c.backup.Name, begun)
			}
			return nil
		})
		took := takeoverTime(t, segment.Packets(), c.master, c.backup, begun)
		t.Logf("%s announced the VIP %s after %s %s, want %s to %s", backup.name, took, master.name, what, least, most)
		if took < least || took > most {
			t.Errorf("%s announced the VIP %s after %s %s, want %s to %s", backup.name, took, master.name, what, least, most)
		}
	}
	master.start(c.master, r)
	backup.start(c.backup, r)
	c.awaitHolder(c.master, soon)
	c.steady(c.master, r)
	undisputed("after the start")
	ours := c.master
	if master.name == keepalived.name {
		ours = c.backup
	}
	healthy(c.t, ours, c.mysql1, c.mysql2)

	resigned := time.Now()
	c.master.daemon.Stop()
	segment.Wait(`10\.77\.0\.2 > 224\.0\.0\.18: .*prio 0,`, soon)
	takesOver(resigned, "resigned", 0, r.skew()+takeoverAllowance)
	c.steady(c.backup, r)
	undisputed("after a graceful stop")

	master.start(c.master, r)
	c.awaitHolder(c.master, soon)
	c.steady(c.master, r)
	undisputed("after a preemption")

	silent := time.Now()
	c.master.Link("eth0").Unplug()
	c.master.daemon.Kill()
	c.master.Run("ip", "addr", "flush", "to", vipPrefix) // keepalived's VIP would stay forever
	takesOver(silent, "stopped sending", 3*r.advert, r.masterDown()+takeoverAllowance)
	c.master.Link("eth0").Plug()
	c.steady(c.backup, r)
	undisputed("after a silence")
	master.start(c.master, r)
	c.awaitHolder(c.master, soon)
	c.steady(c.master, r)
	healthy(c.t, ours, c.mysql1, c.mysql2)

	c.backup.daemon.Stop()
	c.steady(c.master, r)
	undisputed("at the end")
	for _, p := range capture.Matching(segment.Stop(), "VRRP") {
		if len(capture.Matching([]capture.Packet{p}, `prio (150|100|0), `)) == 0 {
			t.Errorf("an unexpected advert: %s", p.Text)
		}
	}
}

// steady checks for three advert intervals that only the node holds the VIP.
func (c *cluster) steady(n *node, r timing) {
	c.t.Helper()
	c.awaitHolder(n, soon)
	lab.Consistently(c.t, 3*r.advert, func() error { return c.heldOnlyBy(n) })
}

// awaitPeriodSince waits for a holdPeriod that began after the event.
func (w *vipWatch) awaitPeriodSince(event time.Time) (found holdPeriod) {
	w.n.t.Helper()
	lab.Eventually(w.n.t, soon, func() error {
		for _, period := range w.periods() {
			if period.from.After(event) {
				found = period
				return nil
			}
		}
		return fmt.Errorf("%s has not taken the VIP since %s: %v", w.n.Name, event, w.periods())
	})
	return found
}
