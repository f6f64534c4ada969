package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// A fault is a way in which a MASTER stops serving. begin starts it and end undoes it.
type fault struct {
	name     string
	begin    func(n *node)
	end      func(n *node)
	graceful bool // the MASTER resigns, so its peer waits only for the skew
}

var (
	carrierLost = fault{
		name:  "carrier lost",
		begin: func(n *node) { n.Link("eth0").CarrierDown() },
		end:   func(n *node) { n.Link("eth0").CarrierUp() },
	}
	framesDropped = fault{
		name:  "carrier kept, frames dropped",
		begin: func(n *node) { n.Link("eth0").Unplug() },
		end:   func(n *node) { n.Link("eth0").Plug() },
	}
	stopped = fault{
		name:     "graceful stop",
		begin:    func(n *node) { n.daemon.Signal(syscall.SIGTERM) },
		end:      func(n *node) { n.start() },
		graceful: true,
	}
)

// timing is the timing of an election (RFC 9568 6.1, RFC 3768 6.1).
type timing struct {
	version int
	advert  time.Duration
}

// skew is the skew time of priority 100.
func (r timing) skew() time.Duration {
	if r.version == 2 {
		return 156 * time.Second / 256
	}
	return 156 * r.advert / 256
}

func (r timing) masterDown() time.Duration { return 3*r.advert + r.skew() }

func (r timing) String() string { return fmt.Sprintf("v%d %s", r.version, r.advert) }

// takeoverTimer returns how long lvs-backup waits after the last advert of lvs-master.
func (r timing) takeoverTimer(f fault) time.Duration {
	if f.graceful {
		return r.skew()
	}
	return r.masterDown()
}

// product is a director program, lvs-director or keepalived, and how a node starts it.
type product struct {
	name  string
	start func(n *node, r timing) *lab.Daemon
}

var (
	lvsDirector = product{"lvs-director", func(n *node, _ timing) *lab.Daemon { return n.start() }}
	keepalived  = product{"keepalived", startKeepalived}
	products    = []product{lvsDirector, keepalived}
)

// startKeepalived starts keepalived on the node instead of our director, with the same VIP and table, and with TCP
// checks.
func startKeepalived(n *node, r timing) *lab.Daemon {
	n.daemon = lab.StartKeepalived(n.Host, keepalivedConf(n.Name, r))
	return n.daemon
}

func keepalivedConf(name string, r timing) string {
	priority := 100
	if name == "lvs-master" {
		priority = 150
	}
	var b strings.Builder
	fmt.Fprintf(&b, `global_defs {
  router_id %s
}
vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int %g
  version %d
  virtual_ipaddress { %s/32 }
}
virtual_server %s 3306 {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
`, name, priority, r.advert.Seconds(), r.version, vip, vip)
	for _, address := range []string{"10.77.0.11", "10.77.0.12"} {
		fmt.Fprintf(&b, "  real_server %s 3306 {\n    weight 1\n    TCP_CHECK { connect_timeout 1 }\n  }\n", address)
	}
	b.WriteString("}\n")
	return b.String()
}

// servingCluster returns a cluster that serves through lvs-master, with lvs-backup ready.
func servingCluster(t *testing.T, p product, r timing) *cluster {
	t.Helper()
	c := newCluster(t, shape{version: r.version, advert: r.advert.String(), more: resignsAtOnce})
	c.serve(p, r)
	return c
}

// serve starts everything, the directors from p, and waits until lvs-master holds the VIP and both have their tables.
func (c *cluster) serve(p product, r timing) {
	c.t.Helper()
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	p.start(c.master, r)
	p.start(c.backup, r)
	c.awaitHolder(c.master, soon)
	for _, n := range []*node{c.master, c.backup} {
		c.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
	}
}

// failMaster begins the fault right after an advert of lvs-master, the worst moment, and waits until the client is
// answered through lvs-backup. announced is the time from the last advert of lvs-master until lvs-backup announced the
// VIP. ready, if any, is awaited when everything runs that measures: the start of a program may take the guest's only CPU for longer
// than directors with BFD are patient.
func (c *cluster) failMaster(f fault, ready ...func()) (gap measure.Gap, announced time.Duration) {
	c.t.Helper()
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	segment := c.segment()
	for _, wait := range ready {
		wait()
	}
	segment.WaitNext("10.77.0.2 > 224.0.0.18", soon)
	begun := time.Now()
	f.begin(c.master)
	segment.Wait(c.backup.mac()+" > ff:ff:ff:ff:ff:ff.* "+vip, soon)
	m.WaitAnswered("", soon)
	gap = m.Stop().Since(begun).LongestGap()
	c.awaitARPEntry(c.backup)
	return gap, takeoverTime(c.t, segment.Stop(), c.master, c.backup, begun)
}

// heldOnlyBy returns nil if the node, and not the other director, holds the VIP.
func (c *cluster) heldOnlyBy(n *node) error {
	if holders := lab.Holders(vip, c.master.Host, c.backup.Host); !slices.Equal(holders, []string{n.Name}) {
		return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
	}
	return nil
}

// awaitARPEntry waits until the client's neighbour table maps the VIP to the MAC address of the node.
func (c *cluster) awaitARPEntry(n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		if at := c.client.Run("ip", "neigh", "show", vip); !strings.Contains(at, n.mac()) {
			return fmt.Errorf("the client's neighbour table has %q, want the MAC address of %s, %s", at, n.Name, n.mac())
		}
		return nil
	})
}

// mac returns the MAC address of the node's NIC, which the lab derives from its IPv4 address, unless the node has another one.
func (n *node) mac() string {
	if n.hardware != "" {
		return n.hardware
	}
	a := n.Address().As4()
	return fmt.Sprintf("02:4c:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3])
}

// outage returns the client's gap in one trial in a new cluster.
func outage(t *testing.T, p product, r timing, f fault) measure.Gap {
	t.Helper()
	gap, _ := servingCluster(t, p, r).failMaster(f)
	return gap
}

// TestFailover: when the MASTER is cut off or stopped, a client's outage is hardly longer than the protocol's timers
// require. After the cable is plugged in again there is one holder, and the client reaches it.
//
// Proves docs/operations.md: "Clients get no answer for 3 × advert_interval + skew."
// Proves docs/operations.md: "With `stop_timeout: 0s` the director resigns, and the other one takes over after the skew."
// Proves docs/operations.md: "When they receive each other's adverts again, the director with the lower priority
// becomes BACKUP."
func TestFailover(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	lab.AnyKernel(t)
	for _, r := range []timing{{3, 100 * time.Millisecond}, {3, time.Second}} {
		t.Run(r.String(), func(t *testing.T) {
			if r.advert == time.Second {
				lab.LongPart(t)
			}
			c := servingCluster(t, lvsDirector, r)
			c.failover(r, carrierLost)
			c.failover(r, framesDropped)
			c.failover(r, stopped)
		})
	}
}

// failover makes lvs-backup take over from lvs-master and judges the client's longest gap, then ends the fault and
// judges the return of lvs-master.
func (c *cluster) failover(r timing, f fault) {
	c.t.Helper()
	gap, announced := c.failMaster(f)
	limit := r.takeoverTimer(f) + takeoverAllowance
	c.t.Logf("%s, %s: announced after %s, gap %s, limit %s", r, f.name, announced, gap, limit)
	if announced > limit {
		c.t.Errorf("lvs-backup announced the VIP %s after the last advert of lvs-master, want at most %s", announced, limit)
	}
	if gap.Duration > limit {
		c.t.Errorf("the client got no answer for %s, want at most %s", gap, limit)
	}
	if f.graceful {
		if code := c.master.daemon.Wait(soon); code != 0 {
			c.t.Errorf("exit code %d after a graceful stop, want 0", code)
		}
		return
	}
	c.judgeReturn(r, f)
}

// judgeReturn ends the fault and judges the client's longest gap while lvs-master takes the VIP back.
func (c *cluster) judgeReturn(r timing, f fault) {
	c.t.Helper()
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	back := time.Now()
	f.end(c.master)
	c.awaitHolder(c.master, soon)
	c.awaitARPEntry(c.master)
	m.WaitAnswered("", soon)
	lab.Consistently(c.t, 500*time.Millisecond, func() error { return c.heldOnlyBy(c.master) })
	gap := m.Stop().Since(back).LongestGap()
	c.t.Logf("%s, %s: gap after the cable is plugged in %s", r, f.name, gap)
	// With dropped frames the director had no real server meanwhile, and finds them with its next checks.
	if limit := r.advert + time.Second; gap.Duration > limit {
		c.t.Errorf("after the cable was plugged in the client got no answer for %s, want at most %s", gap, limit)
	}
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
}

// TestSplit: a segment that loses only VRRP has two holders while the loss lasts, and one as soon as it ends; clients
// that used the loser reach the winner at once, although the winner was MASTER all the time.
//
// Proves docs/limits.md: "If the directors do not receive each other's adverts, both hold the VIP"
// Proves docs/operations.md: "The situation ends as soon as one advert arrives; the director with the lower priority
// becomes BACKUP."
func TestSplit(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.AnyKernel(t)
	lab.HasLongForm(t)
	for _, one := range []struct {
		name   string
		way    lab.Direction
		trials int
	}{
		{"both ways", lab.BothWays, 3},
		{"adverts of the MASTER lost", lab.FromHost, 1},
	} {
		t.Run(one.name, func(t *testing.T) {
			if one.way != lab.BothWays {
				lab.LongPart(t)
			}
			c := servingCluster(t, lvsDirector, timing{3, time.Second})
			time.Sleep(6 * time.Second) // until the winner no longer announces its own takeover
			for trial := 1; trial <= one.trials && !c.splitAndHeal(one.way); trial++ {
				t.Log("the loser sent the first advert after the split, so the winner knew of it anyway")
			}
		})
	}
}

// splitAndHeal judges one split. It reports whether the winner's advert ended the loser's mastership, which is the hard
// case: only the loser's resignation then shows the winner that there was another MASTER.
func (c *cluster) splitAndHeal(way lab.Direction) (hard bool) {
	c.t.Helper()
	m := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond})
	m.WaitAnswered("", soon)
	c.master.Link("eth0").Drop(way, lab.VRRP)
	lab.Eventually(c.t, soon, func() error {
		if holders := lab.Holders(vip, c.master.Host, c.backup.Host); len(holders) != 2 {
			return fmt.Errorf("the VIP is on %v, want a split", holders)
		}
		return nil
	})
	adverts := capture.Start(c.backup.Host, "eth0", lab.VRRP)
	adverts.Wait(`10\.77\.0\.3 > 224`, soon) // the winner's advert is due before the loser's next one
	healed := time.Now()
	c.master.Link("eth0").StopDropping()
	c.awaitHolder(c.master, soon)
	c.awaitARPEntry(c.master)
	m.WaitAnswered("", soon)
	gap := m.Stop().Since(healed).LongestGap()
	c.t.Logf("gap after the split %s", gap)
	if gap.Duration > 1300*time.Millisecond {
		c.t.Errorf("after the split the client got no answer for %s", gap)
	}
	for _, p := range adverts.Stop() {
		if p.Time.After(healed) {
			return strings.Contains(p.Text, "10.77.0.2 > 224")
		}
	}
	return false
}

// TestBenchFailover: the outages of lvs-director and of keepalived for the same faults in the same boot, side by side,
// because absolute figures of a virtual machine mean little.
//
// Proves docs/comparison.md: "How long a failure lasts is determined by the protocol"
func TestBenchFailover(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Bench(t)
	rows := []struct {
		r timing
		f fault
	}{
		{timing{2, time.Second}, framesDropped},
		{timing{2, time.Second}, stopped},
		{timing{3, 100 * time.Millisecond}, framesDropped},
		{timing{3, 100 * time.Millisecond}, stopped},
		{timing{3, 10 * time.Millisecond}, framesDropped},
	}
	const trials = 3
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-32s %-9s | %-28s | %-28s | %s\n", "fault", "timing", "lvs-director: gaps, median", "keepalived: gaps, median", "ratio")
	for _, row := range rows {
		medians := map[string]time.Duration{}
		gaps := map[string][]time.Duration{}
		for trial := range trials {
			for _, p := range products {
				t.Run(fmt.Sprintf("%s/%s/%s/%d", row.r, row.f.name, p.name, trial+1), func(t *testing.T) {
					gap := outage(t, p, row.r, row.f)
					t.Log(gap)
					gaps[p.name] = append(gaps[p.name], gap.Duration.Round(time.Millisecond))
				})
			}
		}
		for _, p := range products {
			if len(gaps[p.name]) == trials {
				medians[p.name] = slices.Sorted(slices.Values(gaps[p.name]))[trials/2]
			}
		}
		text := func(p product) string { return fmt.Sprintf("%v %s", gaps[p.name], medians[p.name]) }
		fmt.Fprintf(&table, "%-32s %-9s | %-28s | %-28s | %.2f\n", row.f.name, row.r, text(lvsDirector), text(keepalived),
			float64(medians[lvsDirector.name])/float64(medians[keepalived.name]))
	}
	t.Log(table.String())
}
