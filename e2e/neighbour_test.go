package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// unknownHost is a host on the segment that is not in the cluster file, hostile or faulty.
var unknownHost = netip.MustParseAddr("10.77.0.66")

// hostileAdvertInterval is long enough for the delays of a guest whose only CPU also sends the flood.
const hostileAdvertInterval = 500 * time.Millisecond

// advertOf returns a valid advert of a virtual router.
func advertOf(vrid, priority uint8) []byte {
	return forged(func(b []byte) []byte {
		b[1], b[2], b[5] = vrid, priority, byte(hostileAdvertInterval/(10*time.Millisecond))
		return b
	}, nil)
}

// TestHostileNeighbour: packets of another host on the segment cannot end a director, use up its CPU or make it change
// its state, with one exception: an advert of a higher priority is obeyed, because VRRP has no authentication. Status
// reports the kind of each flood and its sender.
//
// Proves docs/operations.md: "From 1 000 ignored packets a second, `lvsctl status` shows the same text as a problem,
// and `status --check` warns. Elections and service are not affected."
// Proves docs/operations.md: "There is no protection against a single forged packet: an advert of a higher priority is
// accepted from any sender, because VRRP has no authentication."
// Proves docs/operations.md: "`lvsctl status` reports a MASTER that is not a director of the cluster file, on the
// network of the directors' addresses."
func TestHostileNeighbour(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	m := newFarmCluster(t, 2, hostileAdvertInterval.String(), "interval: 1s")
	m.start(t, m.master, 2)
	m.start(t, m.backup, 2)
	lab.Eventually(t, soon, func() error { return holdsVIP(m.master) })
	lab.Eventually(t, soon, func() error { return m.noProblems() })
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"fuzzed adverts", m.fuzzed},
		{"foreign adverts", m.foreignFlood},
		{"adverts that are answered", m.answered},
		{"our own address", m.ownAddress},
		{"the highest priority", m.highestPriority},
	} {
		began := time.Now()
		step.run(t)
		t.Logf("%s: %s", step.name, time.Since(began).Round(time.Millisecond))
	}
}

// noProblems returns nil if neither director reports a problem with its neighbours.
func (m *farmCluster) noProblems() error {
	for _, n := range []*node{m.master, m.backup} {
		if problems := n.status().Problems; len(problems) > 0 {
			return fmt.Errorf("%s: %q", n.Name, problems)
		}
	}
	return nil
}

// awaitProblem waits until one of a node's problems matches.
func (m *farmCluster) awaitProblem(t *testing.T, n *node, pattern string) {
	t.Helper()
	lab.Eventually(t, soon, func() error {
		problems := n.status().Problems
		if !slices.ContainsFunc(problems, regexp.MustCompile(pattern).MatchString) {
			return fmt.Errorf("%s has the problems %q, want %q; ignored: %v", n.Name, problems, pattern, n.dropped())
		}
		return nil
	})
}

// awaitFloodProblem is awaitProblem during a flood. Status reports a flood from 1 000 ignored packets a second on; a
// slow guest may receive fewer, so the problem is required only above 1 100.
func (m *farmCluster) awaitFloodProblem(t *testing.T, n *node, pattern string) {
	t.Helper()
	ignored := func() (all uint64) {
		for _, count := range n.dropped() {
			all += count
		}
		return all
	}
	begun, before := time.Now(), ignored()
	for !slices.ContainsFunc(n.status().Problems, regexp.MustCompile(pattern).MatchString) {
		if took := time.Since(begun); took > 10*time.Second {
			rate := float64(ignored()-before) / took.Seconds()
			t.Logf("%s ignored %.0f packets a second", n.Name, rate)
			if rate > 1100 {
				t.Errorf("%s has the problems %q, want %q", n.Name, n.status().Problems, pattern)
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// withoutElection runs f and fails the test if a director changed its state meanwhile, or if the MASTER's adverts had a
// gap of more than two intervals or were too many.
func (m *farmCluster) withoutElection(t *testing.T, f func()) {
	t.Helper()
	marks := []lab.LogMark{m.master.daemon.Mark(), m.backup.daemon.Mark()}
	adverts := capture.Start(m.client, "eth0", lab.VRRP+" and src host 10.77.0.2 and ip[21] == 51")
	begun := adverts.Wait("prio 150", soon).Time
	f()
	ended := time.Now()
	packets := adverts.Stop()
	for _, mark := range marks {
		if log := mark.Log(); strings.Contains(log, "msg=state") {
			t.Errorf("an election:\n%s", log)
		}
	}
	longest, length := longestPause(packets, begun, ended), packets[len(packets)-1].Time.Sub(begun)
	t.Logf("%d adverts of the MASTER in %s, longest gap %s", len(packets), length.Round(time.Millisecond), longest)
	if longest > 2*hostileAdvertInterval {
		t.Errorf("a gap of %s between adverts, which are due every %s", longest, hostileAdvertInterval)
	}
	if most := int(2*length/hostileAdvertInterval) + 10; len(packets) > most {
		t.Errorf("%d adverts in %s, want at most %d: one each interval, and the same number of answers", len(packets), length, most)
	}
	if t.Failed() {
		t.FailNow()
	}
}

const floodDuration = 15 * time.Second

// fuzzed sends randomly changed adverts and random bytes. The original has priority 3: no mutation of it is accepted as
// an advert of a higher priority or as a resignation.
func (m *farmCluster) fuzzed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("LVS_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("LVS_SEED=%d", seed)
	m.withoutElection(t, func() {
		capture.StartFlood(m.client, capture.FloodOptions{
			Sources: []netip.Addr{unknownHost}, Payloads: [][]byte{advertOf(51, 3)}, Mutate: true, Seed: seed, Rate: 1000, Count: 30_000,
		}).Stop()
	})
	for _, n := range []*node{m.master, m.backup} {
		lab.Eventually(t, soon, func() error {
			if counted := n.dropped(); counted["checksum"] == 0 || counted["length"] == 0 || counted["version"] == 0 || counted["vrid"] == 0 {
				return fmt.Errorf("%s counted %v", n.Name, counted)
			}
			return nil
		})
	}
	lab.Eventually(t, soon, func() error { return m.noProblems() })
}

// foreignFlood sends 10 000 adverts a second, or as many as the guest can, of a virtual router that is not ours.
func (m *farmCluster) foreignFlood(t *testing.T) {
	m.withoutElection(t, func() {
		before := []lab.Usage{m.master.daemon.Usage(), m.backup.daemon.Usage()}
		flood := capture.StartFlood(m.client, capture.FloodOptions{
			Sources: []netip.Addr{unknownHost}, Rate: 10_000, Payloads: [][]byte{advertOf(77, 255)},
		})
		time.Sleep(floodDuration)
		for i, n := range []*node{m.master, m.backup} {
			after := n.daemon.Usage()
			share := float64(after.CPU-before[i].CPU) / float64(after.At.Sub(before[i].At))
			t.Logf("%s: %.1f %% of a CPU", n.Name, 100*share)
			// Measured: 2 to 3 % on the slowest machine, 0.5 % on a current one; the sender uses the rest.
			if share > 0.25 {
				t.Errorf("%s: the flood takes %.1f %% of a CPU", n.Name, 100*share)
			}
			m.awaitProblem(t, n, `^eth0: \d{4,} VRRP packets a second are ignored \((flood|vrid)\), most of them of virtual router 77 from 10\.77\.0\.66: `)
		}
		sent, rate := flood.Stop()
		t.Logf("%d packets, %.0f a second", sent, rate)
		for _, n := range []*node{m.master, m.backup} {
			lab.Eventually(t, soon, func() error {
				counted := n.dropped()
				if all := int(counted["vrid"] + counted["flood"]); all < sent*9/10 || counted["vrid"] == 0 {
					return fmt.Errorf("%s counted %v, want about %d", n.Name, counted, sent)
				}
				return nil
			})
		}
	})
	lab.Eventually(t, soon, func() error { return m.noProblems() })
	m.master.daemon.WaitLog(`level=WARN msg="a flood of VRRP packets for no instance of ours"`, soon)
	m.master.daemon.WaitLog(`msg="the flood of VRRP packets is over"`, soon)
}

// answered sends adverts that a MASTER answers and that a BACKUP might act on: resignations of an unknown host that
// never was MASTER, and adverts of a lower priority. The MASTER must answer no more often than it sends its own
// adverts.
func (m *farmCluster) answered(t *testing.T) {
	arp := capture.Start(m.client, "eth0", "arp and src host "+vip)
	m.withoutElection(t, func() {
		flood := capture.StartFlood(m.client, capture.FloodOptions{
			Sources: []netip.Addr{unknownHost, unknownHost.Next()}, Rate: 3000, Payloads: [][]byte{advertOf(51, 0), advertOf(51, 1)},
		})
		for _, n := range []*node{m.master, m.backup} {
			m.awaitFloodProblem(t, n, `VRRP instance mysql: \d{4} VRRP packets a second are ignored \(\w+\), most of them of virtual router 51 from 10\.77\.0\.6[67]`)
		}
		flood.Stop()
	})
	if announced := len(arp.Stop()); announced > 200 {
		t.Errorf("the VIP was announced %d times", announced)
	}
	if counted := m.backup.dropped(); counted["resignation"] == 0 {
		t.Errorf("%s counted no resignation of an unknown host: %v", m.backup.Name, counted)
	}
	if counted := m.master.dropped(); counted["flood"] == 0 {
		t.Errorf("%s answered every advert: %v", m.master.Name, counted)
	}
	lab.Eventually(t, soon, func() error { return m.noProblems() })
}

// ownAddress sends adverts with the MASTER's source address, as a host with a duplicate address or a loop would.
func (m *farmCluster) ownAddress(t *testing.T) {
	m.master.Sysctl("net.ipv4.conf.eth0.accept_local", "1") // otherwise the kernel drops and logs them as martians
	m.withoutElection(t, func() {
		for range 3 {
			capture.Send(m.client, "eth0", netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("224.0.0.18"), 255, 112, advertOf(51, 150))
		}
		m.awaitProblem(t, m.master, `packets come from this director's own address 10\.77\.0\.2: a loop in the network, or another machine`)
	})
	lab.Eventually(t, soon, func() error {
		if counted := m.master.dropped()["own_packet"]; counted != 3 {
			return fmt.Errorf("%d packets with our own address counted", counted)
		}
		return nil
	})
}

// highestPriority sends adverts of priority 255. Both directors obey them, report the sender, and recover when the
// adverts stop.
func (m *farmCluster) highestPriority(t *testing.T) {
	mark, backup := m.master.daemon.Mark(), m.backup.daemon.Mark()
	other := netip.MustParseAddr("10.77.0.68")
	flood := capture.StartFlood(m.client, capture.FloodOptions{
		Sources: []netip.Addr{other}, Rate: 100, Payloads: [][]byte{advertOf(51, 255)},
	})
	mark.WaitLog(`level=INFO msg="received the first advert of another director".* source=10\.77\.0\.68 priority=255`, soon)
	mark.WaitLog(`msg=state .*from=MASTER to=BACKUP reason="BACKUP: higher priority 255 from 10\.77\.0\.68"`, soon)
	for _, n := range []*node{m.master, m.backup} {
		m.awaitProblem(t, n, `VRRP instance mysql: 10\.77\.0\.68 is MASTER with priority 255 and is no director of the cluster file`)
		if s := n.status().Instances[0]; s.State != "BACKUP" || s.Master != other.String() || s.MasterPriority != 255 {
			t.Errorf("%s: %+v", n.Name, s)
		}
	}
	flood.Stop()
	end := time.Now()
	lab.Eventually(t, soon, func() error { return holdsVIP(m.master) })
	t.Logf("the VIP is back %s after the last forged advert", time.Since(end).Round(time.Millisecond))
	for name, log := range map[string]string{m.master.Name: mark.Log(), m.backup.Name: backup.Log()} {
		if states := strings.Count(log, "msg=state"); states > 6 {
			t.Errorf("%s changed its state %d times:\n%s", name, states, log)
		}
	}
}
