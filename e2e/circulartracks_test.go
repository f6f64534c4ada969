package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestCircularTracks: of tracks that ask the virtual address of their own instance, `lvsctl check` says before what happens then:
// nobody becomes MASTER, or the address moves for ever, or nothing.
//
// Proves docs/failover.md: "`lvsctl check` warns of a track whose result depends on who is MASTER"
func TestCircularTracks(t *testing.T) {
	lab.Need(t)
	lab.HasLongForm(t)
	const track = "{name: db, type: tcp, address: " + vip + ", port: 3307, interval: 100ms, timeout: 90ms, fall: 3, rise: 1}"
	const priorities = "deaf_delay: 0s, per_node: {lvs-master: {priority: 150}}"
	for _, row := range []struct {
		name         string
		daily, blind bool // blind: a MASTER does not reach the address on itself
		use, warning string
		judge        func(t *testing.T, p *trackedPair)
	}{
		{"fault", true, false, "db", "nobody answers there before a director is MASTER, and none becomes MASTER before somebody answers", func(t *testing.T, p *trackedPair) {
			for _, n := range []*node{p.master, p.backup} {
				n.daemon.WaitLog("to=FAULT", soon)
			}
			lab.Consistently(t, 2*time.Second, func() error { return p.heldBy(0) })
		}},
		{"fault while it answers", false, false, "{name: db, weight: 0, reverse: true}", "gives the virtual addresses up for that reason, and they move for ever", movesForEver},
		{"weight, blind", true, true, "{name: db, weight: -60}", "a MASTER that does not reach it on itself gives way to another director, and takes over again when that one answers, for ever", movesForEver},
		{"weight", true, false, "{name: db, weight: -60}", "a MASTER that does not reach it on itself", func(t *testing.T, p *trackedPair) {
			p.awaitHolder(p.master, soon)
			lab.Consistently(t, 2*time.Second, func() error { return p.heldOnlyBy(p.master) })
		}},
		{"small weight", false, true, "{name: db, weight: -5}", "so that it says nothing about a single director", func(t *testing.T, p *trackedPair) {
			p.awaitHolder(p.master, soon)
			lab.Consistently(t, 2*time.Second, func() error { return p.heldOnlyBy(p.master) })
		}},
	} {
		if testing.Short() && !row.daily {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			p := trackedDirectors(t, row.use, track, priorities)
			out, err := p.client.Try("sh", "-c", program(t, "lvsctl")+" check "+p.file+" 2>&1")
			if err != nil || !strings.Contains(out, "db asks the virtual address "+vip+" of this instance: ") || !strings.Contains(out, row.warning) {
				t.Errorf("lvsctl check: %v\n%s\nwant %q", err, out, row.warning)
			}
			for _, n := range []*node{p.master, p.backup} {
				standin.Start(n.Host, ":3307", n.Name)
				if row.blind {
					n.Run("iptables", "-A", "INPUT", "-i", "lo", "-d", vip, "-p", "tcp", "--dport", "3307", "-j", "REJECT", "--reject-with", "tcp-reset")
				}
			}
			p.backup.start()
			p.master.start()
			row.judge(t, p)
		})
	}
}

// heldBy returns an error unless so many of the directors hold the VIP.
func (p *trackedPair) heldBy(want int) error {
	if n := len(lab.Holders(vip, p.master.Host, p.backup.Host)); n != want {
		return fmt.Errorf("%d holders of the VIP, want %d", n, want)
	}
	return nil
}

// movesForEver waits until a director has got the VIP for the fourth time, although nothing has happened to it or to the other one.
func movesForEver(t *testing.T, p *trackedPair) {
	t.Helper()
	p.master.watchVIP().awaitPeriods(4)
}
