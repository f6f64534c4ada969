package e2e

import (
	"fmt"
	"os"
	"slices"
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

// TestFlappingLinkOfAGroup: the same with IPv6, a virtual MAC address and a sync group: the members move together. A link that is
// lost again and again, each time for less than interface_down_delay, moves the VIPs as well, and they return when it is good.
//
// Proves docs/failover.md: "A link that loses its carrier five times in a row, each time less than 3 s after it was back, is not excused any more"
func TestFlappingLinkOfAGroup(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	const delays = "interface_down_delay: 2s\n    interface_up_delay: 10s"
	const mac6 = "00:00:5e:00:02:34" // of the virtual router 52 (RFC 9568, 7.3)
	c := newPair6(t, time.Second, "")
	text := fileHeader(3, "1s", true, delays) + fmt.Sprintf(`  - name: six
    interface: eth0
    virtual_router_id: 52
    virtual_mac: true
    virtual_addresses: ["%s"]
    %s
    per_node:
      lvs-master: {priority: 150}
sync_groups: [{name: both, instances: [mysql, six]}]
`, vip6, delays)
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	await := func(when string, holder, other *node, within time.Duration) {
		t.Helper()
		lab.Eventually(t, within, func() error {
			if err := holdsAll([]string{vip, vip6}, holder.Host, other.Host); err != nil {
				return fmt.Errorf("%s: %w", when, err)
			}
			return nil
		})
	}
	c.master.start()
	lab.Eventually(t, soon, func() error { return holdsAll([]string{vip, vip6}, c.master.Host) })
	c.backup.start()
	segment := capture.Start(c.client, "eth0", "vrrp or arp or ip6 proto 112 or icmp6", "-v")
	segment.Wait("prio 150,", soon)
	link := c.master.Link("eth0")
	flap := func(times int) (back time.Time) {
		for range times {
			link.CarrierDown()
			time.Sleep(time.Second)
			back = time.Now()
			link.CarrierUp()
			time.Sleep(time.Second)
		}
		return back
	}

	for range 3 {
		back := flap(1)
		lab.Eventually(t, soon, func() error {
			all := slices.DeleteFunc(segment.Packets(), func(p capture.Packet) bool { return p.Time.Before(back) })
			for _, want := range []string{c.master.mac() + ` .*ARP.*` + vip, mac6 + ` .*neighbor advertisement.*tgt is ` + vip6, `VRRPv3.*vrid 51, prio 150`, `VRRPv3.*vrid 52, prio 150`} {
				if len(capture.Matching(all, want)) == 0 {
					return fmt.Errorf("no %q after the carrier is back: %+v", want, all)
				}
			}
			return nil
		})
		lab.Eventually(t, soon, c.master.quietLink)
	}
	if own := capture.Matching(segment.Packets(), `VRRPv3.*prio 100`); len(own) > 0 {
		t.Errorf("short losses of the carrier made the BACKUP send %+v", own)
	}
	await("after short losses", c.master, c.backup, soon)

	link.CarrierDown()
	await("the cable is out", c.backup, c.master, soon)
	link.CarrierUp()
	await("the cable is back", c.master, c.backup, 10*time.Second+soon)

	flap(5)
	await("the link flaps", c.backup, c.master, soon)
	c.master.checks(2, "eth0 loses its carrier again and again")
	back := flap(3)
	await("the link is good again", c.master, c.backup, 10*time.Second+soon)
	if early := slices.DeleteFunc(capture.Matching(segment.Packets(), `VRRPv3.*prio 150`), func(p capture.Packet) bool {
		return p.Time.Before(back) || p.Time.After(back.Add(10*time.Second))
	}); len(early) > 0 {
		t.Errorf("an advert %s after the link was good: %s", early[0].Time.Sub(back), early[0].Text)
	}
}

// quietLink returns an error while the node reports that its interface has lost its carrier a moment ago.
func (n *node) quietLink() error {
	if out, _ := n.ctl("status", "--check"); strings.Contains(out, "lost its carrier a moment ago") {
		return fmt.Errorf("%s", out)
	}
	return nil
}
