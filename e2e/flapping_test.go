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
