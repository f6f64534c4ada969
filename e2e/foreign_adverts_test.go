package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// secretKeepalived starts a keepalived with VRRPv2 and a password on a node, with the VIP of the cluster or another one.
func secretKeepalived(n *node, priority int, address string) {
	n.daemon = lab.StartKeepalived(n.Host, fmt.Sprintf(`vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int 1
  version 2
  authentication {
    auth_type PASS
    auth_pass secret
  }
  virtual_ipaddress { %s/32 }
}
`, priority, address))
}

// awaitCheck waits until `lvsctl status --check` exits with the code and reports the text.
func (n *node) awaitCheck(code int, text string) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		out, err := n.ctl("status", "--check")
		if got := lab.ExitCode(err); got != code || !strings.Contains(out, text) {
			return fmt.Errorf("%s: status --check exits with %d: %s; want %d and %q", n.Name, got, out, code, text)
		}
		return nil
	})
}

// refusesPassword is the problem of a director beside a keepalived with a password.
func refusesPassword(n *node) string {
	return n.Address().String() + " sends VRRPv2 adverts with a password for virtual router 51: "
}

// TestRefusedAdverts: one machine has a keepalived with a password, the other one our director. Only one of them holds
// the VIP, although neither obeys the other, and our status is critical.
//
// Proves docs/operations.md: "A BACKUP does not take the VIPs, whatever its priority, for the master-down interval of the
// last such advert. A resignation (priority 0) ends that."
// Proves docs/operations.md: "A MASTER steps back for a director of the cluster file of higher priority, or of equal
// priority and a higher address, and for no other sender."
func TestRefusedAdverts(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	long := lab.HasLongForm(t)
	r := timing{2, time.Second}
	c := newCluster(t, shape{version: r.version, advert: r.advert.String(), more: resignsAtOnce})
	c.answering()
	secretKeepalived(c.master, 150, vip)
	c.awaitHolder(c.master, soon)
	c.backup.start()
	lab.Consistently(t, r.masterDown()+r.advert, func() error { return c.heldOnlyBy(c.master) })
	c.backup.awaitCheck(2, refusesPassword(c.master))

	c.master.daemon.Stop() // resigns
	c.awaitHolder(c.backup, r.skew()+takeoverAllowance)
	c.backup.awaitCheck(0, "")

	if !long {
		return
	}
	secretKeepalived(c.master, 150, vip) // does not obey us, and takes the VIP
	c.awaitHolder(c.master, soon)
	lab.Consistently(t, 2*r.advert, func() error { return c.heldOnlyBy(c.master) })

	c.master.daemon.Kill()
	c.master.Run("ip", "addr", "flush", "to", vipPrefix)
	c.awaitHolder(c.backup, soon)

	// A keepalived of lower priority: both hold the VIP, and we say so.
	secretKeepalived(c.master, 50, vip)
	c.backup.awaitCheck(2, "both machines hold the virtual addresses")
	lab.Eventually(t, soon, func() error { return holdsVIP(c.master) })
	if !c.backup.holds() {
		t.Error("we have given way to a director of lower priority")
	}
	c.backup.awaitCheck(2, "both machines hold the virtual addresses")
}

// TestTwoMasters: the MASTER's adverts do not reach the BACKUP, which takes over. The MASTER reports that it hears another
// one, and does not announce the VIP for ever.
//
// Proves docs/operations.md: "A director that receives the other's adverts reports `two_masters`, CRITICAL, after three
// intervals: the other one does not receive ours."
func TestTwoMasters(t *testing.T) {
	lab.Need(t, lab.IPVS)
	long := lab.HasLongForm(t)
	c := newCluster(t, shape{advert: "200ms"})
	c.answering()
	c.startAll()
	c.master.awaitCheck(0, "")
	c.backup.Link("eth0").Drop(lab.ToHost, lab.VRRP)
	lab.Eventually(t, soon, func() error { return holdsVIP(c.backup) })
	c.master.awaitCheck(2, "10.77.0.3 is MASTER of virtual router 51 too, with priority 100")
	if long {
		c.neverAnnounces(c.master)
	}
	c.backup.Link("eth0").StopDropping()
	c.awaitHolder(c.master, soon)
	c.master.awaitCheck(0, "")
	c.backup.awaitCheck(0, "")
}

// neverAnnounces checks that a node sends no gratuitous ARP for the VIP once the announcements that have been requested
// are over. A probe, which comes from 0.0.0.0, announces nothing (RFC 5227, section 2.1.1).
func (c *cluster) neverAnnounces(n *node) {
	c.t.Helper()
	time.Sleep(7 * time.Second) // pkg/reconcile: announceFor
	segment := c.segment()
	time.Sleep(3 * time.Second)
	for _, p := range capture.Matching(segment.Stop(), "ARP") {
		if strings.HasPrefix(p.Text, n.mac()) && strings.Contains(p.Text, vip) && strings.Contains(p.Text, "ff:ff:ff:ff:ff:ff") &&
			!strings.Contains(p.Text, "tell 0.0.0.0") {
			c.t.Errorf("announced: %s", p.Text)
		}
	}
}

// TestStranger: a keepalived of another pair has our virtual_router_id, with a priority between those of our directors and
// another VIP, first without a password, then with one. Both directors name it at once, and the BACKUP takes over from our
// MASTER as if it were not there.
//
// Proves docs/operations.md: "Another pair of routers that has the same `virtual_router_id` by accident, with other VIPs, is
// never obeyed and never waited for, with or without a password: it is reported as `unknown_router`."
func TestStranger(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	cases := []struct {
		password bool
		timing
	}{{false, timing{3, 200 * time.Millisecond}}}
	if lab.HasLongForm(t) {
		cases = append(cases, struct {
			password bool
			timing
		}{true, timing{2, time.Second}})
	}
	for _, one := range cases {
		t.Run(one.String(), func(t *testing.T) { besideAStranger(t, one.timing, one.password) })
	}
}

func besideAStranger(t *testing.T, r timing, password bool) {
	c := newCluster(t, shape{version: r.version, advert: r.advert.String()})
	c.answering()
	stranger := newNode(t, c.net.Host("stranger", c.lan.At("10.77.0.66/24")), "lvs-director", c.file)
	c.startAll()
	if password {
		secretKeepalived(stranger, 120, "10.77.0.200")
	} else {
		conf := strings.ReplaceAll(keepalivedConf(stranger.Name, r), vip, "10.77.0.200")
		stranger.daemon = lab.StartKeepalived(stranger.Host, strings.ReplaceAll(conf, "priority 100", "priority 120"))
	}
	const said = "10.77.0.66 is MASTER of another virtual router 51 with 10.77.0.200 and is no director of the cluster file"
	c.master.awaitCheck(1, said)
	c.backup.awaitCheck(1, said)
	silent := time.Now()
	c.master.Link("eth0").Unplug()
	lab.Eventually(t, soon, func() error { return holdsVIP(c.backup) })
	if took := time.Since(silent); took > r.masterDown()+r.advert+takeoverAllowance {
		t.Errorf("the BACKUP took the VIP after %s, want %s", took, r.masterDown())
	}
	c.backup.awaitCheck(1, said)
	c.master.Link("eth0").Plug()
	c.awaitHolder(c.master, soon)
	stranger.daemon.Stop()
	c.master.awaitCheck(0, "")
	c.backup.awaitCheck(0, "")
}

// TestVIPClaimed: another machine on the segment announces the VIP once. The clients are back at the MASTER within seconds,
// and the machine is reported as long as it answers for the VIP.
//
// Proves docs/operations.md: "A MASTER that hears another machine claim a VIP, in such an answer or in an announcement, asks
// again every second and announces its VIPs, at most once a second and ten times in a row, and not while it hears adverts of
// another MASTER."
func TestVIPClaimed(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Release(t)
	c := newCluster(t, shape{advert: "200ms"})
	c.answering()
	c.startAll()
	intruder := c.net.Host("intruder", c.lan.At("10.77.0.66/24"))
	intruder.Sysctl("net.ipv4.conf.eth0.arp_notify", "1")
	c.client.Run("ping", "-c", "1", "-W", "1", vip) // an entry, which the announcements change
	c.awaitARPEntry(c.master)
	time.Sleep(7 * time.Second) // until the MASTER's first announcements are over
	segment := c.segment()
	intruder.Run("ip", "addr", "add", vipPrefix, "dev", "eth0")
	intruder.Run("ip", "link", "set", "eth0", "address", "02:4c:0a:4d:00:42") // with arp_notify, this announces all addresses
	segment.Wait(`02:4c:0a:4d:00:42 > ff:ff:ff:ff:ff:ff.* `+vip, soon)
	claimed := time.Now()
	c.awaitARPEntry(c.master)
	segment.Wait(c.master.mac()+" > ff:ff:ff:ff:ff:ff.* "+vip, soon)
	t.Logf("the client is back %s after the claim", time.Since(claimed))
	if took := time.Since(claimed); took > 4*time.Second {
		t.Errorf("the client is back after %s", took)
	}
	segment.Stop()
	// It says nothing more, but answers requests.
	c.master.awaitCheck(2, "02:4c:0a:4d:00:42")
	time.Sleep(15 * time.Second)
	c.master.awaitCheck(2, "02:4c:0a:4d:00:42")
	c.backup.awaitCheck(0, "")
	intruder.Run("ip", "addr", "del", vipPrefix, "dev", "eth0")
	c.master.awaitCheck(0, "")
	c.awaitARPEntry(c.master)
}
