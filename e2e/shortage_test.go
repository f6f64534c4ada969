package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestAtRest: with ten real servers, checked at the default interval, a director uses next to nothing of a CPU, be it
// MASTER or BACKUP. The promise of 0.5 % is about a machine; in a guest a system call costs some twenty times as much,
// and the CPU is counted in ticks of 10 ms, so that there only a loop that never rests is found.
//
// Proves docs/operations.md: "A director with ten real servers uses less than 0.5 % of a CPU."
func TestAtRest(t *testing.T) {
	lab.Need(t)
	lab.Longer(t)
	// In a guest two loops that never rest share the CPU, whatever its speed. One that rests too little wakes too often: ten
	// checks and an advert a second are some hundred waits of a thread.
	span, most, mostWaits := 5*time.Second, 0.3, 300.0
	if !testing.Short() {
		span = 30 * time.Second
	}
	if os.Getenv("LVS_LAB_INSIDE") == "" {
		span, most = 30*time.Second, 0.005
	}
	m := newMany(t, 10, "1s", "interval: 1s")
	m.start(t, m.master, 10)
	m.start(t, m.backup, 10)
	m.master.daemon.WaitLog("to=MASTER", soon)
	before := []lab.Usage{m.master.daemon.Usage(), m.backup.daemon.Usage()}
	time.Sleep(span)
	for i, n := range []*node{m.master, m.backup} {
		after := n.daemon.Usage()
		elapsed := after.At.Sub(before[i].At)
		share, waits := float64(after.CPU-before[i].CPU)/float64(elapsed), float64(after.Waits-before[i].Waits)/elapsed.Seconds()
		t.Logf("%s: %.2f %% of a CPU and %.0f waits a second, over %s; %.1f MB, %d threads, %d descriptors", n.Name, 100*share, waits, span,
			float64(after.Resident)/1e6, after.Threads, after.Files)
		if share > most || waits > mostWaits {
			t.Errorf("%s uses %.2f %% of a CPU at rest, want at most %.1f %%, and waits %.0f times a second, want at most %.0f",
				n.Name, 100*share, 100*most, waits, mostWaits)
		}
	}
}

// TestNoDescriptors: a director that cannot open anything any more goes on with its elections and its table, and says
// of its servers that it cannot check them. When descriptors are there again all is as before.
//
// Proves docs/operations.md: "elections and table go on; checks are unknown (`code=local`, `raise LimitNOFILE`), and
// nothing is taken out; `lvsctl` gets an answer when there are descriptors again"
func TestNoDescriptors(t *testing.T) {
	lab.Need(t, lab.IPVS)
	m := newMany(t, 4, "500ms", "interval: 1s, fall: 2")
	m.start(t, m.master, 4)
	m.master.daemon.WaitLog("to=MASTER", soon)
	lab.Eventually(t, soon, func() error { return holdsVIP(m.master) })
	rule, mark := m.master.table().Rule(), m.master.daemon.Mark()
	var had unix.Rlimit
	limit := func(to *unix.Rlimit) {
		t.Helper()
		if err := unix.Prlimit(m.master.daemon.PID(), unix.RLIMIT_NOFILE, to, &had); err != nil {
			t.Fatal(err)
		}
	}
	limit(&unix.Rlimit{Cur: 3, Max: 1 << 16})
	normal := had
	mark.WaitLog(`level=WARN msg="check says nothing about the server; its last state is kept".* code=local .*too many open files \(raise LimitNOFILE\)`, soon)
	adverts := capture.Start(m.client, "eth0", lab.VRRP+" and src host 10.77.0.2")
	time.Sleep(5 * time.Second) // five checks of each server, of which two would do for a verdict
	onTime(t, time.Now(), adverts.Stop(), 500*time.Millisecond)
	if !m.tracks {
		if now := m.master.table().Rule(); now != rule {
			t.Errorf("the table has changed:\n%s\nbefore:\n%s", now, rule)
		}
	}
	limit(&normal)
	mark.WaitLog(`msg="check works again"`, soon)
	m.awaitUp(t, m.master, 4) // over the socket, which answers again
	if log := mark.Log(); strings.Contains(log, "msg=state") || strings.Contains(log, "msg=verdict") || strings.Count(log, "\n") > 100 {
		t.Errorf("the log of it:\n%s", log)
	}
}

// TestLogNobodyReads: a pipe that is full, or a journald that stands still, does not stop the director.
//
// Proves docs/operations.md: "nobody reads the log | the daemon does not wait."
func TestLogNobodyReads(t *testing.T) {
	lab.Need(t, lab.IPVS)
	m := newMany(t, 4, "500ms", "interval: 200ms")
	pipe := m.master.Path("stderr")
	m.master.Run("mkfifo", pipe)
	// sleep holds the pipe open and reads nothing; the first 64 kB fill it.
	script := `sleep 3600 <>"$0" & dd if=/dev/zero of="$0" bs=65536 count=1 && exec "$@" 2>"$0"`
	m.master.daemon = m.master.Host.Start("director", "sh", "-c", script, pipe, m.master.binary, "run", "--debug",
		"--config", m.file, "--socket", m.master.socket, "--state-dir", m.master.Path("state"))
	lab.Eventually(t, soon, func() error { return holdsVIP(m.master) })
	m.awaitUp(t, m.master, 4)
	adverts := capture.Start(m.client, "eth0", lab.VRRP+" and src host 10.77.0.2")
	time.Sleep(4 * time.Second)
	onTime(t, time.Now(), adverts.Stop(), 500*time.Millisecond)
	m.awaitUp(t, m.master, 4)
	if code := m.master.daemon.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if m.master.holds() {
		t.Error("the VIP is left")
	}
}
