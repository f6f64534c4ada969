package e2e

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestNoDescriptors: a director that cannot open descriptors continues its elections and its table, and reports that it
// cannot check its servers. When descriptors are available again everything is as before.
//
// Proves docs/operations.md: "elections and the table are not affected; checks are unknown (`code=local`, `raise
// LimitNOFILE`), and no server is removed; `lvsctl` gets an answer when descriptors are available again"
func TestNoDescriptors(t *testing.T) {
	lab.Need(t, lab.IPVS)
	m := newFarmCluster(t, 4, "500ms", "interval: 1s, fall: 2")
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
	mark.WaitLog(`level=WARN msg="check is inconclusive; the server's last state is kept".* code=local .*too many open files \(raise LimitNOFILE\)`, soon)
	adverts := capture.Start(m.client, "eth0", lab.VRRP+" and src host 10.77.0.2")
	time.Sleep(5 * time.Second) // five checks of each server; two failures would be a verdict
	onTime(t, time.Now(), adverts.Stop(), 500*time.Millisecond)
	if !m.tracks {
		if now := m.master.table().Rule(); now != rule {
			t.Errorf("the table has changed:\n%s\nbefore:\n%s", now, rule)
		}
	}
	limit(&normal)
	mark.WaitLog(`msg="check works again"`, soon)
	m.awaitUp(t, m.master, 4) // through the socket, which answers again
	if log := mark.Log(); strings.Contains(log, "msg=state") || strings.Contains(log, "msg=verdict") || strings.Count(log, "\n") > 100 {
		t.Errorf("unexpected log:\n%s", log)
	}
}

// TestLogNobodyReads: a full log pipe, as with a stalled journald, does not stop the director.
//
// Proves docs/operations.md: "the log is not read | the daemon does not block."
func TestLogNobodyReads(t *testing.T) {
	lab.Need(t, lab.IPVS)
	m := newFarmCluster(t, 4, "500ms", "interval: 200ms")
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
		t.Error("the VIP is still there after the stop")
	}
}
