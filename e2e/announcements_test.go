package e2e

import (
	"fmt"
	"os"
	"strconv"
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

// healCycles is how often each pair is divided and healed; `make release-check` sets LVS_HEAL_CYCLES to 100.
func healCycles() int {
	if n, err := strconv.Atoi(os.Getenv("LVS_HEAL_CYCLES")); err == nil {
		return n
	}
	return 2
}

// interopCycles is how often the VIP moves between a director and a keepalived, and back; in `make release-check` ten times.
func interopCycles() int {
	if os.Getenv("LVS_HEAL_CYCLES") != "" {
		return 10
	}
	return 2 // a resignation and a silence
}

// divided is a pair that is divided, with the address of its family.
type divided struct {
	*cluster
	vip   string
	watch *vipWatch // of the loser
}

// TestHealedPartition: after a partition the client of the loser sends to the winner 500 ms after only one MASTER is left,
// whichever of them is heard first, at adverts every 100 ms. That a keepalived was MASTER is known only if it sends an
// advert after the partition, or if it has vrrp_higher_prio_send_advert; otherwise the refresh helps.
//
// Proves docs/operations.md: "Without it, a winner whose advert arrives first never hears the other one, and clients that had
// learned the other one's hardware address use it until the next refresh, up to 60 s"
// Proves docs/packet-flow.md: "A VIP of IPv6 is announced at the same times by an unsolicited neighbour advertisement to all
// nodes, with the override flag and the MASTER's MAC."
func TestHealedPartition(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	telling := func(conf string) string { return "global_defs {\n  vrrp_higher_prio_send_advert true\n}\n" + conf }
	told := product{"keepalived that tells it", func(n *node, r timing) *lab.Daemon {
		_, instance, _ := strings.Cut(keepalivedConf(n.Name, r), "}\n") // after global_defs
		n.daemon = lab.StartKeepalived(n.Host, telling(instance))
		return n.daemon
	}}
	told6 := product{told.name, func(n *node, r timing) *lab.Daemon {
		n.daemon = lab.StartKeepalived(n.Host, telling(keepalivedConf6(n.Name, r)))
		return n.daemon
	}}
	const keys = "refresh: 3s"
	four := func(t *testing.T) divided {
		c := elections(t, r.advert.String(), keys)
		return divided{c, vip, c.backup.watchVIP()}
	}
	six := func(t *testing.T) divided {
		c := newPair6(t, r.advert, "announcements: {"+keys+"}")
		return divided{c, vip6, c.backup.watch("inet6 " + vip6Prefix)}
	}
	for _, one := range []struct {
		name          string
		pair          func(t *testing.T) divided
		winner, loser product
		misses        bool // the winner cannot know in each case
	}{
		{"IPv4", four, lvsDirector, lvsDirector, false},
		{"IPv4", four, keepalived, lvsDirector, false},
		{"IPv4", four, lvsDirector, told, false},
		{"IPv4", four, lvsDirector, keepalived, true},
		{"IPv6", six, lvsDirector, lvsDirector, false},
		{"IPv6", six, lvsDirector, told6, false},
	} {
		t.Run(one.name+"/"+one.winner.name+" beside "+one.loser.name, func(t *testing.T) {
			d := one.pair(t)
			one.winner.start(d.master, r)
			lab.Eventually(t, soon, func() error { return d.heldBy(d.master) })
			one.loser.start(d.backup, r)
			ping := d.client.Start("ping", "ping", "-n", "-q", "-i", "0.1", d.vip)
			var late, unheard int
			for cycle := range healCycles() {
				took, heard := d.healOnce(time.Duration(cycle*37%100) * r.advert / 100)
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
			t.Logf("%d cycles: %d late; %d in which the winner could not know of the loser", healCycles(), late, unheard)
			ping.Kill()
		})
	}
}

func (d divided) heldBy(n *node) error {
	if holders := lab.Holders(d.vip, d.master.Host, d.backup.Host); len(holders) != 1 || holders[0] != n.Name {
		return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
	}
	return nil
}

// uses reports whether the client sends to a node.
func (d divided) uses(n *node) error {
	if at := d.client.Run("ip", "neigh", "show", d.vip); !strings.Contains(at, n.mac()) {
		return fmt.Errorf("the client's neighbour table has %q, want the MAC address of %s, %s", at, n.Name, n.mac())
	}
	return nil
}

// healOnce cuts the winner off until the client uses the loser, and heals that in a phase of the adverts. It returns for how
// long the client's entry was wrong if it was so 500 ms after the loser had removed the VIP; 0 if it was right. heard says
// whether the loser has sent an advert since.
func (d divided) healOnce(phase time.Duration) (wrong time.Duration, heard bool) {
	d.t.Helper()
	d.master.Link("eth0").Unplug()
	before := time.Now()
	d.watch.awaitPeriodSince(before)
	lab.Eventually(d.t, soon, func() error { return d.uses(d.backup) })
	adverts := capture.Start(d.master.Host, "eth0", lab.VRRP+" and src host 10.77.0.3 or ip6 proto 112 and ether src "+d.backup.mac())
	time.Sleep(phase)
	d.master.Link("eth0").Plug()
	var gone time.Time
	lab.Eventually(d.t, soon, func() error {
		all := d.watch.periods()
		if gone = all[len(all)-1].to; gone.IsZero() {
			return fmt.Errorf("%s still has the VIP", d.backup.Name)
		}
		return nil
	})
	time.Sleep(time.Until(gone.Add(500 * time.Millisecond)))
	if d.uses(d.master) != nil {
		lab.Eventually(d.t, soon, func() error { return d.uses(d.master) })
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

// TestAnnouncementPolicy: the first announcement of each of many VIPs is sent at once, repetitions and refreshes have the
// interval of the file in between, and the VIPs stay meanwhile. Announcements that the host drops are reported.
//
// Proves docs/operations.md: "The first announcement of each VIP after an event is sent at once; repetitions and refreshes are
// spread."
// Proves docs/operations.md: "A VIP that cannot be announced is the problem `vips_not_announced`, CRITICAL, and is tried again
// every second."
func TestAnnouncementPolicy(t *testing.T) {
	lab.Need(t, lab.StockKernel)
	lab.Long(t)
	const (
		vips     = 40
		interval = 20 * time.Millisecond
	)
	c := elections(t, "200ms", "")
	var all []string
	for n := range vips {
		all = append(all, instanceVIP(n+1))
	}
	text := strings.Replace(fileHeader(3, "200ms", true, "announcements: {interval: 20ms, repeat: 2, delay: 2s, refresh: 5s}"),
		"["+vip+"/32]", "["+strings.Join(all, ", ")+"]", 1)
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	arp := capture.Start(c.master.Host, "eth0", "arp and ether src "+c.master.mac()) // where none of them waits for the switch
	c.master.start().WaitLog("to=MASTER", soon)
	time.Sleep(15 * time.Second)
	var rounds [][]time.Time // of the announcements, each of all VIPs
	for _, p := range capture.Matching(arp.Stop(), `Request who-has (10\.77\.1\.\d+).* tell 10\.77\.1\.`) {
		if n := len(rounds); n == 0 || len(rounds[n-1]) == vips {
			rounds = append(rounds, nil)
		}
		rounds[len(rounds)-1] = append(rounds[len(rounds)-1], p.Time)
	}
	for n, round := range rounds {
		least, most := time.Hour, time.Duration(0)
		for i := 1; i < len(round); i++ {
			least, most = min(least, round[i].Sub(round[i-1])), max(most, round[i].Sub(round[i-1]))
		}
		t.Logf("round %d begins %s after the first: %d announcements, from %s to %s apart", n+1, round[0].Sub(rounds[0][0]), len(round), least, most)
		switch {
		case n == 0 && least >= interval:
			t.Errorf("the first announcements are %s apart", least)
		case n > 0 && least < interval-time.Millisecond:
			t.Errorf("round %d: announcements are %s apart", n+1, least)
		}
	}
	if len(rounds) < 4 { // 0 s, 2 s, 7 s, 12 s
		t.Errorf("%d rounds in 15 s, want 4", len(rounds))
	}
	if held := (many{}).held(c.master); held != vips {
		t.Errorf("%d VIPs are held", held)
	}
	c.master.awaitCheck(0, "")
	c.master.Run("tc", "qdisc", "add", "dev", "eth0", "clsact")
	c.master.Run("tc", "filter", "add", "dev", "eth0", "egress", "protocol", "arp", "bpf", "direct-action", "bytecode", "1,6 0 0 2")
	c.master.awaitCheck(2, "cannot be announced on eth0")
	c.master.Run("tc", "qdisc", "del", "dev", "eth0", "clsact")
	c.master.awaitCheck(0, "")
}
