package e2e

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestQuietConnections: the standby is booted after connections were opened that send nothing more, so that the kernel's
// daemon sends none of them. The MASTER's director sends them again, once, and they survive its death.
//
// Proves docs/failover.md: "A connection that is quiet is sent again by the director that is MASTER, if another director lacks it."
func TestQuietConnections(t *testing.T) {
	lab.Need(t, lab.IPVS)
	count := 20
	if !testing.Short() {
		count = 200
	}
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	conns := measure.OpenConnections(c.client, vipPort, count)
	c.master.awaitCounted(count)
	packets := capture.Start(c.backup.Host, "eth0", "udp port 8848 and src host 10.77.0.2", "-x")
	c.backup.start()
	c.awaitEntries(c.backup, count)
	c.backup.awaitLearned(count)
	if !testing.Short() {
		time.Sleep(7 * time.Second) // the next round would begin
	}
	if sent := messages(packets.Stop()); sent > (count+39)/40+1 {
		t.Errorf("%d messages with connections", sent)
	}
	if got := c.backup.Run("ipvsadm", "-l", "--daemon"); !strings.Contains(got, "backup") {
		t.Errorf("the kernel's daemon: %s", got)
	}
	c.master.daemon.Kill()
	c.backup.daemon.WaitLog("to=MASTER", soon)
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != count {
		t.Errorf("%d of %d: %v", alive["mysql1"]+alive["mysql2"], count, conns.Errors())
	}
}

// awaitCounted waits until a MASTER counts so many connections, which its kernel has sent by then.
func (n *node) awaitCounted(count int) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if s := n.status().ConnectionSync; s == nil || s.Held != count {
			return fmt.Errorf("held: %+v", s)
		}
		return nil
	})
}

// messages counts those with connections: the fifth byte is their number.
func messages(packets []capture.Packet) (n int) {
	for _, b := range payloads(packets) {
		if len(b) > 4 && b[4] != 0 {
			n++
		}
	}
	return n
}

// payloads are what follows the headers of IP and UDP, of 28 bytes.
func payloads(packets []capture.Packet) (all [][]byte) {
	for _, p := range packets {
		hexes := strings.Builder{}
		for line := range strings.Lines(p.Text) {
			if bytes, found := strings.CutPrefix(strings.TrimSpace(line), "0x"); found {
				hexes.WriteString(strings.Join(strings.Fields(bytes)[1:], ""))
			}
		}
		if b, err := hex.DecodeString(hexes.String()); err == nil && len(b) > 28 {
			all = append(all, b[28:])
		}
	}
	return all
}

// TestSyncSilent: a standby that hears nothing of the MASTER's connections says so, and that they have another id; also that
// it lacks them, when it hears of them and none arrives.
//
// Proves docs/failover.md: "A director that is BACKUP and receives nothing reports `sync_silent`, one that lacks connections
// `sync_lacking`."
func TestSyncSilent(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	c.answering()
	c.backup.file = c.net.File("other.yaml", shape{advert: "300ms", more: "connection_sync: {id: 9}"}.file())
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.backup.start()
	c.awaitHolder(c.master, soon)
	awaitProblem(t, c.backup, problem.SyncSilent, "10.77.0.2 sends with the id 51, and this director expects 9")
	if testing.Short() {
		return
	}
	conns := measure.OpenConnections(c.client, vipPort, 4)
	c.master.awaitCounted(4)
	c.net.File("other.yaml", shape{advert: "300ms", more: "connection_sync: {}"}.file())
	// The messages of the kernel and the director's own pass, but the daemon that learns is another program's, for another id.
	c.backup.daemon.Stop()
	c.backup.Run("ipvsadm", "--start-daemon", "backup", "--mcast-interface", "eth0", "--syncid", "9")
	c.backup.start()
	lab.Eventually(t, soon, func() error {
		if s := c.backup.status().ConnectionSync; s == nil || s.Lacking != 4 || s.Warm {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	awaitProblem(t, c.backup, problem.SyncNotRunning, "another program runs one with other settings")
	c.backup.Run("ipvsadm", "--stop-daemon", "backup")
	c.awaitEntries(c.backup, 4)
	lab.Eventually(t, soon, func() error {
		if s := c.backup.status(); len(s.ProblemDetails) > 0 || s.ConnectionSync.Lacking > 0 {
			return fmt.Errorf("%+v %+v", s.ConnectionSync, s.ProblemDetails)
		}
		return nil
	})
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != 4 {
		t.Errorf("%v", conns.Errors())
	}
}

// awaitProblem waits until a director reports a problem whose text contains these words.
func awaitProblem(t *testing.T, n *node, code problem.Code, words string) {
	t.Helper()
	lab.Eventually(t, 2*soon, func() error {
		for _, p := range n.status().ProblemDetails {
			if p.Code == code && strings.Contains(p.Text, words) {
				return nil
			}
		}
		return fmt.Errorf("%s: no problem %s with %q: %+v", n.Name, code, words, n.status().ProblemDetails)
	})
}
