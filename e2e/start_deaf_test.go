package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

const (
	// deafAdvert is the advert interval of these scenarios, which lvs-master would miss three times in 1.4 s.
	deafAdvert = 400 * time.Millisecond
	// silentText is logged when a link has delivered nothing for 2 s.
	silentText = "no packet of another machine has been received since the link came up"
)

// deafCluster is two directors that only elect a MASTER.
func deafCluster(t *testing.T, preempt bool, more string) *cluster {
	t.Helper()
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", fileHeader(3, deafAdvert.String(), preempt, more))
	return c
}

// alarms waits until a monitoring plugin reports that the link of a director delivers nothing.
func (n *node) alarms() {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if out, err := n.ctl("status", "--check"); err == nil || !strings.Contains(err.Error()+out, "CRITICAL: VRRP instance mysql: no packet of another machine has been received on eth0") {
			return fmt.Errorf("status --check of %s: %v: %s", n.Name, err, out)
		}
		return nil
	})
}

// obeysAfterPlug connects the link of lvs-master, whose director has started without it, and checks by the packets of the segment
// that it hears lvs-backup for longer than its master-down interval, without an advert or an announcement of its own.
func (c *cluster) obeysAfterPlug(plug func()) {
	c.t.Helper()
	segment, plugged := c.segment(), time.Now()
	plug()
	lab.Eventually(c.t, soon, func() error {
		heard := capture.Matching(announcements(segment.Packets(), c.backup, plugged, time.Now()), `(?s)10\.77\.0\.3 > 224\.0\.0\.18: .*prio 100`)
		if len(heard) < 8 {
			return fmt.Errorf("%d adverts of lvs-backup", len(heard))
		}
		return nil
	})
	if sent := announcements(segment.Stop(), c.master, plugged, time.Now()); len(sent) > 0 {
		c.t.Errorf("lvs-master sent %d packets as MASTER: %v", len(sent), sent[0])
	}
	if err := c.heldOnlyBy(c.backup); err != nil {
		c.t.Error(err)
	}
	c.master.reports("lower priority 100 from 10.77.0.3, and preempt is off")
}

// reports waits until the status of a director has a text.
func (n *node) reports(text string) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if out, err := n.ctl("status"); err != nil || !strings.Contains(out, text) {
			return fmt.Errorf("status of %s: %v: %s", n.Name, err, out)
		}
		return nil
	})
}

// TestDeafStart: a director whose link delivers nothing for longer than its master-down interval after its start does not take the
// VIP from the MASTER, which it does not preempt. Its status is CRITICAL until it hears something. With deaf_delay: 0s it takes it.
//
// Proves docs/failover.md: "A director that has heard no other machine since its start waits with becoming MASTER, for `deaf_delay`
// (10 s) at most."
// Proves docs/failover.md: "With `deaf_delay: 0s` it takes the addresses away from the MASTER once its link works."
func TestDeafStart(t *testing.T) {
	lab.Need(t)
	c := deafCluster(t, false, "")
	c.backup.start()
	c.awaitHolder(c.backup, soon)
	healthy(t, c.backup)
	taken, kept := c.master.watchVIP(), c.backup.watchVIP()
	c.master.Link("eth0").Unplug()
	c.master.start()
	c.master.daemon.WaitLog(silentText, soon)
	c.master.reports("no other machine has been heard on the link yet, which deaf_delay waits for")
	c.master.alarms()
	c.obeysAfterPlug(c.master.Link("eth0").Plug)
	for _, period := range taken.periods() {
		t.Errorf("lvs-master held the VIP: %s", period)
	}
	for _, period := range kept.periods() {
		if !period.to.IsZero() {
			t.Errorf("lvs-backup lost the VIP: %s", period)
		}
	}
	healthy(t, c.master, c.backup)

	c.master.daemon.Stop()
	c.net.File("cluster.yaml", fileHeader(3, deafAdvert.String(), false, "deaf_delay: 0s"))
	c.master.Link("eth0").Unplug()
	c.master.start()
	lab.Eventually(t, soon, func() error {
		if !c.master.holds() {
			return errors.New("lvs-master does not become MASTER without deaf_delay")
		}
		return nil
	})
	c.master.Link("eth0").Plug()
	c.awaitHolder(c.master, soon)
}

// TestDeafAlone: of two directors that start together, of which one is cut off, the other takes the VIP without a delay, because
// other machines answer it. The one that is cut off takes it when its deaf_delay is over. Once its link works there is one MASTER.
//
// Proves docs/failover.md: "At the end of that time it takes what nobody holds as far as it can know"
// Proves docs/failover.md: "other machines answer within milliseconds, and the election goes on as if there were no such key"
func TestDeafAlone(t *testing.T) {
	lab.Need(t)
	const delay = 4 * time.Second
	c := deafCluster(t, true, "deaf_delay: "+delay.String())
	c.master.Link("eth0").Unplug()
	segment, asked := c.segment(), capture.Start(c.master.Host, "eth0", "arp")
	for _, n := range []*node{c.master, c.backup} {
		n.start()
	}
	took := func(n *node) time.Duration {
		listens := loggedAt(t, n.daemon.WaitLog("from=INIT to=BACKUP", soon))
		return loggedAt(t, n.daemon.WaitLog("to=MASTER", soon)).Sub(listens)
	}
	down := 3*deafAdvert + deafAdvert*(256-100)/256
	if got := took(c.backup); got < down-allowance || got > delay-time.Second { // it listens anew when the first answer arrives
		t.Errorf("lvs-backup took the VIP after %s, want the master-down interval %s", got, down)
	}
	if got := took(c.master); got < delay-allowance || got > delay+takeoverAllowance {
		t.Errorf("lvs-master, which is cut off, took the VIP after %s, want %s", got, delay)
	}
	c.master.alarms()
	if sent := announcements(segment.Stop(), c.master, time.Time{}, time.Now()); len(sent) > 0 {
		t.Fatalf("the link of lvs-master is not cut: %v", sent[0])
	}
	awaitPacket(t, asked, `Request who-has 10\.77\.0\.3 .*tell 10\.77\.0\.2`)
	asked.Stop()
	c.master.Link("eth0").Plug()
	c.awaitHolder(c.master, soon)
	healthy(t, c.master, c.backup)
}

// TestDeafReturn: a link that comes up again and delivers nothing is like a start: lvs-master, which was MASTER, does not take the
// VIP back from lvs-backup, which it does not preempt.
//
// Proves docs/failover.md: "The same holds when the link of an interface comes up again."
func TestDeafReturn(t *testing.T) {
	lab.Need(t)
	c := deafCluster(t, false, "")
	for _, n := range []*node{c.master, c.backup} {
		n.start()
		c.awaitHolder(c.master, soon)
	}
	link := c.master.Link("eth0")
	link.CarrierDown()
	c.awaitHolder(c.backup, soon)
	link.Netem("loss 100%")
	mark := c.master.daemon.Mark()
	link.CarrierUp()
	mark.WaitLog("from=FAULT to=BACKUP", soon)
	mark.WaitLog(silentText, soon)
	c.master.alarms()
	c.obeysAfterPlug(link.NetemOff)
	healthy(t, c.master, c.backup)
}
