package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestIPv6Interop: a pair of one lvs-director and one keepalived on IPv6. In each of interopCycles the BACKUP takes over from
// the MASTER after a resignation or a silence, in the time that the RFC says, and the MASTER takes the VIP back. Both hold
// the VIP at the same time only until the loser receives an advert.
//
// Proves docs/index.md: "VRRP version 3 (RFC 9568) on IPv4 and IPv6 and version 2 (RFC 3768) on IPv4, with or without
// preemption, interoperable with keepalived (version 3, or version 2 with or without a password)."
func TestIPv6Interop(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Long(t)
	for _, one := range []struct {
		name           string
		master, backup product
	}{
		{"keepalived is the backup", lvsDirector, keepalived6},
		{"keepalived is the master", keepalived6, lvsDirector},
	} {
		t.Run(one.name, func(t *testing.T) { interoperate6(t, one.master, one.backup) })
	}
}

func interoperate6(t *testing.T, master, backup product) {
	r := timing{3, 100 * time.Millisecond}
	c := newPair6(t, r.advert, "lease: 3s")
	watches := []*vipWatch{c.master.watch("inet6 " + vip6Prefix), c.backup.watch("inet6 " + vip6Prefix)}
	segment := capture.Start(c.client, "eth0", "ip6 proto 112 or icmp6[0] = 136")
	backup.start(c.backup, r)
	var slowest [2]time.Duration
	for n := range interopCycles() {
		master.start(c.master, r)
		awaitHolder6(c, c.master)
		lab.Consistently(t, 3*r.advert, func() error { return holdsVIP6(c, c.master) })
		silent := n%2 == 1
		begun, least, most := time.Now(), time.Duration(0), r.skew()+takeoverAllowance
		if silent {
			least, most = 3*r.advert, r.masterDown()+takeoverAllowance
			c.master.Link("eth0").Unplug()
			c.master.daemon.Kill()
			c.master.Run("ip", "addr", "flush", "to", vip6Prefix) // keepalived's VIP would stay forever
			c.backup.pings6(c.client)
			c.master.Link("eth0").Plug()
		} else {
			c.master.daemon.Stop()
		}
		awaitHolder6(c, c.backup)
		watches[1].awaitPeriodSince(begun)
		lab.Eventually(t, soon, func() error { // a keepalived announces after it has added the VIP
			for _, p := range packetsOf(segment.Packets(), c.backup, "> 33:33:00:00:00:01, ") {
				if !p.Time.Before(begun) {
					return nil
				}
			}
			return fmt.Errorf("%s has not announced the VIP", c.backup.Name)
		})
		took := takeover6(t, segment.Packets(), c.master, c.backup, begun)
		slowest[n%2] = max(slowest[n%2], took)
		if took < least || took > most {
			t.Errorf("cycle %d: %s announced the VIP %s after the last advert of %s, want %s to %s", n, backup.name, took, master.name, least, most)
		}
	}
	if both := overlap(watches[0], watches[1]); both > 300*time.Millisecond {
		t.Errorf("both held the VIP for %s: %v and %v", both, watches[0].periods(), watches[1].periods())
	}
	t.Logf("%s announced the VIP at most %s after a resignation of %s, %s after a silence", backup.name, slowest[0], master.name, slowest[1])
	for _, p := range capture.Matching(segment.Stop(), "VRRP") {
		if len(capture.Matching([]capture.Packet{p}, `VRRPv3, .* prio (150|100|0), intvl 10cs, length 24$`)) == 0 {
			t.Errorf("an unexpected advert: %s", p.Text)
		}
	}
}

// pings6 waits until a host is answered on the VIP.
func (n *node) pings6(from *lab.Host) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		_, err := from.Try("ping", "-6", "-c", "1", "-W", "1", vip6)
		return err
	})
}

// takeover6 returns the time from the last advert of a director to the first announcement of its peer after the event.
func takeover6(t *testing.T, packets []capture.Packet, from, to *node, event time.Time) time.Duration {
	t.Helper()
	for _, announced := range packetsOf(packets, to, "> 33:33:00:00:00:01, ") {
		if announced.Time.Before(event) {
			continue
		}
		var last time.Time
		for _, p := range packetsOf(packets, from, "> 33:33:00:00:00:12, ") {
			if p.Time.Before(announced.Time) {
				last = p.Time
			}
		}
		return announced.Time.Sub(last)
	}
	t.Fatalf("%s has announced nothing since %s", to.Name, event)
	return 0
}

// TestIPv6LeaseEnds: the VIP of IPv6 of a director that is frozen or killed is removed by the kernel when its lease ends.
//
// Proves docs/index.md: "VIPs with a kernel lease: a director that dies or hangs loses its VIP, with no daemon left to
// remove it."
func TestIPv6LeaseEnds(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	const lease = 3 * time.Second
	c := newPair6(t, 100*time.Millisecond, "lease: 3s")
	for _, end := range []struct {
		name string
		end  func(d *lab.Daemon)
	}{
		{"frozen", func(d *lab.Daemon) { d.Pause() }},
		{"killed", func(d *lab.Daemon) { d.Kill() }},
	} {
		c.master.start()
		awaitHolder6(c, c.master)
		lab.Consistently(t, lease/2, func() error { return holdsVIP6(c, c.master) }) // until the renewals are under way
		watch := c.master.watch("inet6 " + vip6Prefix)
		begun := time.Now()
		end.end(c.master.daemon)
		took := watch.awaitEnd(lease + soon).Sub(begun)
		t.Logf("%s: removed after %s, limit %s", end.name, took, lease+leaseEndAllowance)
		if took > lease+leaseEndAllowance {
			t.Errorf("%s: removed after %s, want at most %s", end.name, took, lease+leaseEndAllowance)
		}
		if c.master.daemon.Running() {
			mark := c.master.daemon.Mark()
			c.master.daemon.Resume()
			awaitHolder6(c, c.master) // there is no other director
			lab.Consistently(t, lease/2, func() error { return holdsVIP6(c, c.master) })
			if log := mark.Log(); strings.Contains(log, "another process") {
				t.Errorf("the end of a lease was logged as a change by another process:\n%s", log)
			}
			c.master.daemon.Stop()
		}
	}
}

// TestIPv6Faults: a director without a usable link-local address gives way to the other one, says why, and takes the VIP
// back when it has one. A VIP that somebody deletes or that goes with its interface comes back.
//
// Proves docs/operations.md: "An interface without one is a fault whose reason says why"
func TestIPv6Faults(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	c := newPair6(t, 200*time.Millisecond, "")
	c.backup.start()
	c.master.start()
	awaitHolder6(c, c.master)
	healthy(t, c.master, c.backup)
	back := func() {
		t.Helper()
		awaitHolder6(c, c.master)
		healthy(t, c.master, c.backup)
		if groups := c.master.Run("ip", "-6", "maddr", "show", "dev", "eth0"); !strings.Contains(groups, "ff02::12") {
			t.Errorf("lvs-master does not receive adverts: it is a member of %s", groups)
		}
	}
	upDown := func() {
		c.master.Run("ip", "link", "set", "eth0", "down")
		c.master.Run("ip", "link", "set", "eth0", "up")
	}

	t.Log("the VIP is deleted")
	c.master.Run("ip", "addr", "del", vip6Prefix, "dev", "eth0")
	back()

	t.Log("the interface goes down, and comes back with a new link-local address")
	c.master.Run("ip", "link", "set", "eth0", "down")
	awaitHolder6(c, c.backup)
	c.master.awaitCheck(2, "the interface eth0 is down")
	c.master.Run("ip", "link", "set", "eth0", "up")
	back()

	t.Log("the machine has no IPv6")
	c.master.Sysctl("net.ipv6.conf.eth0.disable_ipv6", "1")
	awaitHolder6(c, c.backup)
	c.master.awaitCheck(2, "the interface eth0 has no link-local IPv6 address of its own to send adverts from (see net.ipv6.conf.eth0.disable_ipv6 and addr_gen_mode)")
	c.master.Sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
	back()

	t.Log("the MTU is too small for IPv6")
	c.master.Run("ip", "link", "set", "eth0", "mtu", "1279")
	awaitHolder6(c, c.backup)
	c.master.awaitCheck(2, "the interface eth0 has no link-local IPv6 address of its own")
	c.master.Run("ip", "link", "set", "eth0", "mtu", "1500")
	back()

	t.Log("another machine has the link-local address")
	linkLocal := strings.Fields(c.master.Run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"))[3]
	twin := c.net.Host("twin", c.lan.At("10.77.0.66/24"))
	twin.Run("ip", "addr", "add", linkLocal, "dev", "eth0", "nodad")
	upDown()
	awaitHolder6(c, c.backup)
	c.master.awaitCheck(2, "another machine has the link-local address "+strings.TrimSuffix(linkLocal, "/64"))
	twin.Run("ip", "addr", "del", linkLocal, "dev", "eth0")
	upDown()
	back()
}

// TestIPv6Claimed: another machine on the segment announces the VIP once. The clients are back at the MASTER within seconds,
// and the machine is reported as long as it answers for the VIP.
//
// Proves docs/operations.md: "A MASTER that hears another machine claim a VIP, in such an answer or in an announcement, asks
// again every second and announces its VIPs, at most once a second and ten times in a row, and not while it hears adverts of
// another MASTER."
func TestIPv6Claimed(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	c := newPair6(t, 200*time.Millisecond, "")
	c.backup.start()
	c.master.start()
	awaitHolder6(c, c.master)
	intruder := c.net.Host("intruder", c.lan.At("10.77.0.66/24"))
	intruder.Sysctl("net.ipv6.conf.eth0.ndisc_notify", "1")
	const mac = "02:4c:0a:4d:00:43"
	time.Sleep(7 * time.Second) // until the MASTER's first announcements are over
	m := measure.Start(c.client, "["+vip6+"]:3306", measure.Options{Every: 20 * time.Millisecond})
	m.WaitAnswered("lvs-master", soon)
	awaitNeighbour6(c, c.master)
	segment := capture.Start(c.client, "eth0", "icmp6[0] = 136")
	intruder.Run("ip", "addr", "add", vip6Prefix, "dev", "eth0", "nodad")
	intruder.Run("ip", "link", "set", "eth0", "address", mac) // with ndisc_notify, this announces all addresses
	segment.Wait(mac+` > 33:33:00:00:00:01.*tgt is `+vip6, soon)
	claimed := time.Now()
	segment.Wait(c.master.mac()+` > 33:33:00:00:00:01.*tgt is `+vip6, soon)
	awaitNeighbour6(c, c.master)
	m.WaitAnswered("lvs-master", soon)
	t.Logf("the client is back %s after the claim", time.Since(claimed))
	if took := time.Since(claimed); took > 4*time.Second {
		t.Errorf("the client is back after %s", took)
	}
	segment.Stop()
	m.Stop()
	// It says nothing more, but answers solicitations.
	c.master.awaitCheck(2, vip6+" is claimed by another machine as well, with the hardware address "+mac)
	time.Sleep(15 * time.Second)
	c.master.awaitCheck(2, mac)
	c.backup.awaitCheck(0, "")
	intruder.Run("ip", "addr", "del", vip6Prefix, "dev", "eth0")
	c.master.awaitCheck(0, "")
	awaitNeighbour6(c, c.master)
}
