package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// killed is a daemon that dies without a word. Its kernel keeps the VIP until the lease ends.
var killed = fault{
	name:  "daemon killed",
	begin: func(n *node) { n.daemon.Kill() },
	end:   func(n *node) { n.start() },
}

// bfdPort selects the packets of single-hop BFD.
const bfdPort = "udp port 3784"

// bfdCluster is a servingCluster with adverts every second and BFD between the directors.
func bfdCluster(t *testing.T, peerBFD string) *cluster {
	t.Helper()
	c := newCluster(t, shape{instance: "peer_bfd: " + peerBFD})
	c.answering()
	c.startAll()
	c.awaitBFD(c.master)
	c.awaitBFD(c.backup)
	return c
}

// bfdCounts is how long a session must be up before its loss counts (docs/operations.md).
const bfdCounts = time.Second

// awaitBFD waits until the last thing that a director logged about its BFD session is that it is up, for so long that
// its loss counts.
func (c *cluster) awaitBFD(n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		last := ""
		for line := range strings.Lines(n.daemon.Log()) {
			if strings.Contains(line, `msg="BFD session"`) {
				last = line
			}
		}
		if !strings.Contains(last, "to=Up") {
			return fmt.Errorf("%s has no BFD session: %s", n.Name, last)
		}
		if up := time.Since(loggedAt(c.t, lab.LogLine{Text: last})); up <= bfdCounts {
			return fmt.Errorf("the BFD session of %s has been up for only %s", n.Name, up)
		}
		return nil
	})
}

// awaitBFDCounts waits until a director takes over at once when its session is lost: it counts, and no false alarm is younger than the
// time for which BFD is ignored after it. In a guest the start of a program may cause one.
func (c *cluster) awaitBFDCounts(n *node) {
	c.t.Helper()
	alarms := func() int { return strings.Count(n.daemon.Log(), "according to BFD") }
	for counted := -1; counted != alarms(); {
		counted = alarms()
		lab.Eventually(c.t, 2*soon, func() error {
			for _, p := range n.status().ProblemDetails {
				if p.Code == problem.BFDFalseAlarm {
					return errors.New(p.Text)
				}
			}
			return nil
		})
		c.awaitBFD(n)
	}
}

// TestBFDTakeOver: with adverts every second, a client's outage after the MASTER is cut off or dies is at most 60 ms.
//
// Proves docs/operations.md: "With `interval: 10ms` and `multiplier: 3` a client's outage is at most 60 ms, while adverts
// stay at one per second."
func TestBFDTakeOver(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	lab.AnyKernel(t)
	faults := []fault{framesDropped}
	if !testing.Short() {
		faults = append(faults, carrierLost, killed)
	}
	c := bfdCluster(t, "{interval: 10ms, multiplier: 3}")
	for n, f := range faults {
		if n > 0 {
			time.Sleep(4 * time.Second) // a shorter outage counts as a false alarm
			faults[n-1].end(c.master)
			c.awaitHolder(c.master, soon)
			c.awaitARPEntry(c.master)
			c.awaitBFD(c.backup)
		}
		gap, announced := c.failMaster(f, func() { c.awaitBFDCounts(c.backup) })
		t.Logf("%s: announced after %s, gap %s", f.name, announced, gap)
		if gap.Duration > 60*time.Millisecond {
			t.Errorf("%s: the client got no answer for %s", f.name, gap)
		}
		// From the last advert, which is up to an interval older than the fault; without BFD it is more than three.
		if announced > time.Second+60*time.Millisecond+2*allowance {
			t.Errorf("%s: lvs-backup announced the VIP %s after the last advert of lvs-master", f.name, announced)
		}
	}
}

// TestBFDFalseAlarm: if only BFD is lost, two adverts settle who is MASTER; the next alarm is ignored, and the status
// says so.
//
// Proves docs/operations.md: "after a false alarm the director with the higher priority is MASTER again at once"
// Proves docs/operations.md: "The director then ignores BFD for 10 s, after each further false alarm for twice as long, at
// most 5 min, and reports `bfd_false_alarm`."
func TestBFDFalseAlarm(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := bfdCluster(t, "{interval: 50ms, multiplier: 3}")
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	segment := c.segment()
	c.loseBFD()
	c.backup.daemon.WaitLog("from=BACKUP to=MASTER reason=.*according to BFD", soon)
	c.backup.daemon.WaitLog("from=MASTER to=BACKUP", soon)
	c.awaitHolder(c.master, soon)
	c.awaitARPEntry(c.master)
	adverts := capture.Matching(segment.Stop(), `10\.77\.0\.3 > 224`)
	if len(adverts) == 0 || len(adverts) > 2 {
		t.Errorf("%d adverts of lvs-backup, want that of the alarm and its last one: %v", len(adverts), adverts)
	}
	c.ctlPrints(c.backup, 1, "bfd_false_alarm|BFD declared a MASTER dead", "status", "--check")
	c.awaitBFD(c.backup)
	marked := c.backup.daemon.Mark()
	c.loseBFD()
	marked.WaitLog(`"BFD session".*to=Down`, soon)
	lab.Consistently(t, time.Second, func() error { return c.heldOnlyBy(c.master) })
	gap := m.Stop().LongestGap()
	t.Logf("gap %s", gap)
	// An announcement of lvs-backup may reach the client after that of lvs-master, which announces again 300 ms later.
	if gap.Duration > 500*time.Millisecond {
		t.Errorf("the client got no answer for %s", gap)
	}
}

// loseBFD drops the BFD packets of the MASTER for longer than any detection time.
func (c *cluster) loseBFD() {
	c.t.Helper()
	marked := c.backup.daemon.Mark()
	c.master.Link("eth0").Drop(lab.BothWays, bfdPort)
	marked.WaitLog(`"BFD session".*to=Down`, soon)
	c.master.Link("eth0").StopDropping()
}

// TestBFDPackets: what tcpdump reads in the packets of both directors: TTL 255, the ports of RFC 5881, the timers of the
// file, a Poll Sequence and its end, and AdminDown when a director stops.
//
// Proves docs/operations.md: "A director that is stopped switches its sessions off (AdminDown) and resigns as without
// BFD."
func TestBFDPackets(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{instance: "peer_bfd: {interval: 50ms, multiplier: 4}"})
	packets := capture.Start(c.backup.Host, "eth0", bfdPort, "-v")
	c.answering()
	c.startAll()
	c.awaitBFD(c.master)
	c.awaitBFD(c.backup)
	c.master.daemon.Stop()
	c.backup.daemon.WaitLog("BFD session.*to=Down", soon)
	all := packets.Stop()
	for _, want := range []string{
		`(?s)State Down, Flags: \[none\].*Your Discriminator: 0x00000000.*Desired min Tx Interval: +1000 ms`,
		`(?s)State Up, Flags: \[Poll\].*\(200 ms Detection time\).*Desired min Tx Interval: +50 ms\s+Required min Rx Interval: +50 ms`,
		`(?s)State Up, Flags: \[Final\]`,
		`(?s)State Up, Flags: \[none\], Diagnostic: No Diagnostic`,
		`(?s)State AdminDown, Flags: \[none\], Diagnostic: Administratively Down`,
	} {
		if len(capture.Matching(all, want)) == 0 {
			t.Errorf("no packet matches %s", want)
		}
	}
	for _, p := range all {
		if !strings.Contains(p.Text, "tos 0xc0, ttl 255") || strings.Contains(p.Text, "bad udp") || !strings.Contains(p.Text, ".3784: BFDv1, length: 24") {
			t.Errorf("%s", p.Text)
		}
	}
}
