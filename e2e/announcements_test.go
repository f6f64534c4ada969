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

// elections returns a cluster whose directors only elect, with adverts at an interval; keys are those of announcements.
func elections(t *testing.T, advert, keys string) *cluster {
	t.Helper()
	c := newCluster(t, shape{})
	if err := os.WriteFile(c.file, []byte(fileHeader(3, advert, true, "announcements: {"+keys+"}")), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// healCycles is how often a partition is healed. The long form has 100 cycles in all.
const healCycles = 25

// TestHealedPartition: after a partition the client of the loser sends to the winner 500 ms after only one MASTER is left,
// whichever of them is heard first, at adverts every 100 ms. That a keepalived was MASTER is known only if it sends an
// advert after the partition, or if it has vrrp_higher_prio_send_advert; otherwise the refresh helps.
//
// Proves docs/operations.md: "Without it, a winner whose advert arrives first never hears the other one, and clients that had
// learned the other one's hardware address use it until the next refresh, up to 60 s"
func TestHealedPartition(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	told := product{"keepalived that tells it", func(n *node, r timing) *lab.Daemon {
		n.daemon = lab.StartKeepalived(n.Host, strings.Replace(keepalivedConf(n.Name, r), "global_defs {", "global_defs {\n  vrrp_higher_prio_send_advert true", 1))
		return n.daemon
	}}
	for _, one := range []struct {
		winner, loser product
		misses        bool // the winner cannot know in each case
	}{
		{lvsDirector, lvsDirector, false},
		{keepalived, lvsDirector, false},
		{lvsDirector, told, false},
		{lvsDirector, keepalived, true},
	} {
		t.Run(one.winner.name+" beside "+one.loser.name, func(t *testing.T) {
			c := elections(t, r.advert.String(), "refresh: 3s")
			one.winner.start(c.master, r)
			c.awaitHolder(c.master, soon)
			one.loser.start(c.backup, r)
			ping := c.client.Start("ping", "ping", "-n", "-q", "-i", "0.05", vip)
			watch := c.backup.watchVIP()
			var late, unheard int
			for cycle := range healCycles {
				took, heard := c.healOnce(watch, time.Duration(cycle)*r.advert/healCycles)
				switch {
				case took == 0:
				case !heard && one.misses:
					unheard++
					if took > 3500*time.Millisecond {
						t.Errorf("cycle %d: the client's entry was wrong for %s, longer than the refresh", cycle, took)
					}
				default:
					late++
					t.Errorf("cycle %d: the client's entry was still wrong 500 ms after only one MASTER was left, for %s", cycle, took)
				}
			}
			t.Logf("%d cycles: %d late; %d in which the winner could not know of the loser", healCycles, late, unheard)
			ping.Kill()
		})
	}
}

// healOnce cuts the winner off until the client uses the loser, and heals that in a phase of the adverts. It returns for how
// long the client's entry was wrong if it was so 500 ms after the loser had removed the VIP; 0 if it was right. heard says
// whether the loser has sent an advert since.
func (c *cluster) healOnce(watch *vipWatch, phase time.Duration) (wrong time.Duration, heard bool) {
	c.t.Helper()
	c.master.Link("eth0").Unplug()
	before := time.Now()
	watch.awaitPeriodSince(before)
	c.awaitARPEntry(c.backup)
	adverts := capture.Start(c.master.Host, "eth0", lab.VRRP+" and src host 10.77.0.3")
	time.Sleep(phase)
	c.master.Link("eth0").Plug()
	var gone time.Time
	lab.Eventually(c.t, soon, func() error {
		all := watch.periods()
		if gone = all[len(all)-1].to; gone.IsZero() {
			return fmt.Errorf("%s still has the VIP", c.backup.Name)
		}
		return nil
	})
	time.Sleep(time.Until(gone.Add(500 * time.Millisecond)))
	if at := c.client.Run("ip", "neigh", "show", vip); !strings.Contains(at, c.master.mac()) {
		c.awaitARPEntry(c.master)
		wrong = time.Since(gone)
	}
	return wrong, len(adverts.Stop()) > 0
}

// TestDeafMasters: two MASTERs that do not receive each other's adverts. Each finds out by ARP, whether the other one is a
// director or a keepalived, which announces nothing after its take-over, and status is critical as long as it lasts.
//
// Proves docs/limits.md: "Each finds out by ARP within 15 s, and `lvsctl status --check` is CRITICAL on both (`vip_claimed`),
// but neither gives way."
func TestDeafMasters(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{3, time.Second}
	for _, other := range products {
		t.Run("beside "+other.name, func(t *testing.T) {
			c := elections(t, r.advert.String(), "")
			judged := []*node{c.master}
			if other.name == lvsDirector.name {
				judged = append(judged, c.backup)
			}
			c.master.start()
			c.awaitHolder(c.master, soon)
			other.start(c.backup, r)
			time.Sleep(7 * time.Second) // the announcements of the first take-over are over
			c.master.Link("eth0").Drop(lab.BothWays, lab.VRRP)
			split := func() error {
				if holders := lab.Holders(vip, c.master.Host, c.backup.Host); len(holders) != 2 {
					return fmt.Errorf("the VIP is on %v, want a split", holders)
				}
				return nil
			}
			lab.Eventually(t, soon, split)
			begun := time.Now()
			for i, n := range judged {
				n.awaitCheck(2, []*node{c.backup, c.master}[i].mac())
				took := time.Since(begun)
				t.Logf("%s knows after %s", n.Name, took)
				if took > 15*time.Second {
					t.Errorf("%s knew only after %s", n.Name, took)
				}
			}
			for range 20 {
				time.Sleep(4 * time.Second)
				for _, n := range judged {
					if out, err := n.ctl("status", "--check"); lab.ExitCode(err) != 2 {
						t.Errorf("%s after %s: %s", n.Name, time.Since(begun), out)
					}
				}
			}
			if err := split(); err != nil {
				t.Error(err)
			}
			c.master.Link("eth0").StopDropping()
			c.awaitHolder(c.master, soon)
			for _, n := range judged {
				n.awaitCheck(0, "")
			}
		})
	}
}
