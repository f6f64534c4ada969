package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestFlappingLink: a cable that is out for less than interface_down_delay moves nothing: the BACKUP sends no advert, and the
// MASTER announces the VIP again. One that is out for longer moves the VIP, once: while it flaps afterwards, the VIP stays where
// it is, until the carrier has stayed for interface_up_delay.
//
// Proves docs/failover.md: "A MASTER whose carrier is away for less than `interface_down_delay` stays MASTER"
func TestFlappingLink(t *testing.T) {
	lab.Need(t)
	const upDelay = 10 * time.Second
	c := newCluster(t, shape{})
	text := fileHeader(3, "1s", true, "interface_down_delay: 2s\n    interface_up_delay: 10s")
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.backup.start()
	segment := c.segment()
	segment.Wait("prio 150,", soon)
	link := c.master.Link("eth0")
	flap := func(out time.Duration) (back time.Time) {
		link.CarrierDown()
		time.Sleep(out)
		back = time.Now()
		link.CarrierUp()
		return back
	}
	sent := func(n *node, from time.Time) []capture.Packet {
		return announcements(segment.Packets(), n, from, time.Now())
	}

	begun := time.Now()
	for range 3 {
		back := flap(time.Second)
		c.master.checks(2, "eth0 lost its carrier a moment ago")
		lab.Eventually(t, soon, func() error {
			if all := sent(c.master, back); len(capture.Matching(all, "ARP")) == 0 || len(capture.Matching(all, "prio 150,")) == 0 {
				return fmt.Errorf("after a short loss of its carrier the MASTER sent no gratuitous ARP or no advert: %+v", all)
			}
			return nil
		})
	}
	if all := sent(c.backup, begun); len(all) > 0 || !c.master.holds() {
		t.Errorf("short losses of the carrier made the BACKUP send %+v", all)
	}
	if log := c.master.daemon.Log(); strings.Contains(log, "to=FAULT") {
		t.Errorf("a short loss of the carrier is a fault:\n%s", log)
	}

	link.CarrierDown()
	c.awaitHolder(c.backup, soon)
	var back time.Time
	for range 4 {
		back = flap(300 * time.Millisecond)
		time.Sleep(4 * time.Second) // longer than the master-down interval
	}
	c.awaitHolder(c.backup, soon)
	c.awaitHolder(c.master, upDelay+soon)
	for _, p := range sent(c.master, begun) {
		if strings.Contains(p.Text, "VRRP") && p.Time.After(back.Add(-3*time.Second)) && p.Time.Before(back.Add(upDelay)) {
			t.Errorf("an advert %s after the carrier was back: %s", p.Time.Sub(back), p.Text)
		}
	}
}

// TestFlappingAlone: a director whose cable is out again and again before it has listened for a MASTER for long enough never becomes
// MASTER, and nobody serves: it says so all the time, also while it has a carrier. When the cable is good it takes the VIP. The
// same is said while startup_delay keeps the VIP from being taken.
//
// Proves docs/failover.md: "While nobody holds the addresses because the link of the only director flaps, the problem is `vips_not_taken`,
// CRITICAL, also in the moments in which it has a carrier."
func TestFlappingAlone(t *testing.T) {
	lab.Need(t)
	c := newCluster(t, shape{})
	if err := os.WriteFile(c.file, []byte(fileHeader(3, "3s", true, "startup_delay: 12s")), 0o600); err != nil {
		t.Fatal(err)
	}
	unserved := func(when string) {
		t.Helper()
		out, err := c.master.ctl("status", "--check")
		if held := c.master.holds(); held || lab.ExitCode(err) != 2 || !strings.HasPrefix(out, "CRITICAL: ") {
			t.Errorf("%s: holds the VIP: %t, status --check: %v %s, want no VIP and CRITICAL", when, held, err, out)
		}
	}
	c.master.start()
	c.master.checks(2, "no MASTER is heard, and this director is not MASTER yet: BACKUP: started, listening for a MASTER for 12s")
	c.awaitHolder(c.master, soon)
	healthy(t, c.master)
	link := c.master.Link("eth0")
	for n := range 4 {
		mark := c.master.daemon.Mark()
		link.CarrierDown()
		mark.WaitLog("to=FAULT", soon)
		unserved(fmt.Sprintf("cable out %d", n+1))
		link.CarrierUp()
		mark.WaitLog("from=FAULT to=BACKUP", soon)
		unserved(fmt.Sprintf("cable back %d", n+1))
		time.Sleep(time.Second) // less than the master-down interval
		unserved(fmt.Sprintf("a second after the cable was back %d", n+1))
	}
	c.awaitHolder(c.master, soon)
	healthy(t, c.master)
}
