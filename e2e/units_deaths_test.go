package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
)

// awaitRestart waits until systemd has started a new director, and it is MASTER. old is the PID of the previous one.
func (u *unit) awaitRestart(mark lab.LogMark, old int) {
	u.t.Helper()
	mark.WaitLog("Scheduled restart job", soon)
	mark.WaitLog(`\bStarted `+u.name, soon)
	mark.WaitLog("to=MASTER", soon)
	if err := u.restarted(old); err != nil {
		u.t.Error(err)
	}
}

// restarted returns nil if the unit is active with another main process than old.
func (u *unit) restarted(old int) error {
	now := strings.Fields(u.s.Systemctl("show", "--property=ActiveState,MainPID", u.name))
	for _, wrong := range []string{"MainPID=0", fmt.Sprintf("MainPID=%d", old)} {
		if !slices.Contains(now, "ActiveState=active") || slices.Contains(now, wrong) {
			return fmt.Errorf("%s: %s, before MainPID=%d", u.name, now, old)
		}
	}
	return nil
}

// killed: the VIP is removed before its lease ends and before the daemon is started again; the table and connections
// stay, and the new daemon adopts them.
func (u *unit) killed(t *testing.T) {
	u.awaitServing()
	conns := measure.OpenConnections(u.c.client, vipPort, 10)
	table := u.c.master.table().Rule()
	monitor := u.c.master.monitor()
	gone := u.kill(t, monitor)
	t.Logf("the VIP was removed %s after the kill", gone)
	if got := u.c.master.table().Rule(); got != table {
		t.Errorf("the table was changed, too:\n%swant\n%s", got, table)
	}
	u.awaitServing()
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != 10 {
		t.Errorf("alive %v of 10 connections: %v", alive, conns.Errors())
	}
	if got := u.c.master.table().Rule(); got != table {
		t.Errorf("table:\n%swant\n%s", got, table)
	}
	if gone > time.Second {
		t.Errorf("the VIP was removed %s after the kill, want at most 1 s", gone)
	}
}

// kill kills the daemon, waits for the next one, and returns the time from the kill to the removal of the VIP.
func (u *unit) kill(t *testing.T, monitor *lab.Daemon) time.Duration {
	pid := u.s.MainPID(u.name)
	addresses, journal := monitor.Mark(), u.s.JournalMark()
	begun := time.Now()
	u.s.Kill(pid, syscall.SIGKILL)
	gone := addresses.WaitLog("Deleted.* "+vipPrefix+" ", soon).At.Sub(begun)
	u.awaitRestart(journal, pid)
	if log := journal.Log(); !strings.Contains(log, "removed a leftover VIP") || strings.Index(log, "removed a leftover VIP") > strings.Index(log, "Scheduled restart job") {
		t.Errorf("the VIP was not removed before the restart:\n%s", log)
	}
	return gone
}

// monitor starts `ip monitor` for addresses and links and returns once it listens.
func (n *node) monitor() *lab.Daemon {
	n.t.Helper()
	monitor := n.Start("monitor", "ip", "-o", "monitor", "address", "link")
	mtu := 65000
	lab.Eventually(n.t, soon, func() error { // ip monitor does not report that it listens
		mtu++
		n.Run("ip", "link", "set", "lo", "mtu", strconv.Itoa(mtu))
		if !strings.Contains(monitor.Log(), "lo:") {
			return errors.New("ip monitor reports nothing")
		}
		return nil
	})
	n.Run("ip", "link", "set", "lo", "mtu", "65536")
	return monitor
}

// killedBeforeAnotherFile: the daemon that systemd starts again has another file than the one that made the table, and
// changes the table to that of its file; connections to a server that stays continue.
func (u *unit) killedBeforeAnotherFile(t *testing.T) {
	const path = "/etc/lvs-director/cluster.yaml"
	const mysql2 = "      - {name: mysql2, address: 10.77.0.12, weight: 1}\n"
	good, conns := u.s.ReadFile(path), measure.OpenConnections(u.c.client, vipPort, 10)
	mine := conns.Servers()["mysql1"]
	changed := strings.NewReplacer(mysql2, "", "scheduler: lc", "scheduler: wrr", "10.77.0.11, weight: 1", "10.77.0.11, weight: 4").Replace(good)
	u.s.WriteFile(clusterFile(changed))
	pid, journal := u.s.MainPID(u.name), u.s.JournalMark()
	u.s.Kill(pid, syscall.SIGKILL)
	u.awaitRestart(journal, pid)
	lab.Eventually(t, soon, func() error {
		service := u.c.master.table().Service(vipPort)
		if service.Scheduler != "wrr" || len(service.Servers) != 1 || service.Server("10.77.0.11:3306").Weight != 4 {
			return fmt.Errorf("the table does not match the file: %+v", service)
		}
		return nil
	})
	u.c.awaitHolder(u.c.master, soon)
	if alive := conns.Alive(); mine == 0 || alive["mysql1"] != mine || alive["mysql2"] != 0 {
		t.Errorf("alive %v, want the %d of mysql1 and none of mysql2, which was removed: %v", alive, mine, conns.Errors())
	}
	u.s.WriteFile(clusterFile(good))
	u.s.Systemctl("reload", u.name)
	u.awaitServing()
}

// killedBeforeABrokenFile: the daemon that systemd starts again cannot use its file, runs the last good one, and warns.
func (u *unit) killedBeforeABrokenFile(t *testing.T) {
	const path = "/etc/lvs-director/cluster.yaml"
	good, table := u.s.ReadFile(path), u.c.master.table().Rule()
	lab.Eventually(t, soon, func() error { // the copy is written after the reload, which does not wait for the disk
		if got := u.s.ReadFile("/var/lib/lvs-director/cluster.last-good.yaml"); got != good {
			return fmt.Errorf("the copy in the state directory is\n%s", got)
		}
		return nil
	})
	u.s.WriteFile(clusterFile(strings.Replace(good, "forward: dr", "forward: drr", 1)))
	pid, journal := u.s.MainPID(u.name), u.s.JournalMark()
	u.s.Kill(pid, syscall.SIGKILL)
	journal.WaitLog(`lvs-director.*the last good copy runs`, soon)
	u.awaitRestart(journal, pid)
	u.awaitServing()
	if got := u.c.master.table().Rule(); got != table {
		t.Errorf("table:\n%swant\n%s", got, table)
	}
	out, err := u.s.Try("lvsctl", "status", "--check")
	if lab.ExitCode(err) == 0 || !strings.Contains(fmt.Sprint(out, err), "the last good copy") {
		t.Errorf("status --check: %v %q, want a warning", err, out)
	}
	u.s.WriteFile(clusterFile(good))
	u.s.Systemctl("reload", u.name)
	if out, err := u.s.Try("lvsctl", "status", "--check"); strings.Contains(fmt.Sprint(out, err), "the last good copy") {
		t.Errorf("status --check after the file is repaired: %v %q", err, out)
	}
}

// crashed: a crash of the Go runtime does not exit with code 2, which would prevent a restart. SIGABRT is the signal of
// systemd's watchdog, and ends a Go program as a panic does.
func (u *unit) crashed(t *testing.T) {
	pid, mark := u.s.MainPID(u.name), u.s.JournalMark()
	u.s.Kill(pid, syscall.SIGABRT)
	u.awaitRestart(mark, pid)
	mark.WaitLog(`lvs-director.*goroutine \d+`, soon) // needed to find the cause
	u.awaitServing()
}

// terminated: SIGTERM from a process other than systemd causes a graceful stop, and systemd restarts the daemon.
func (u *unit) terminated(t *testing.T) {
	pid, mark := u.s.MainPID(u.name), u.s.JournalMark()
	u.s.Kill(pid, syscall.SIGTERM)
	u.awaitRestart(mark, pid)
	if log := mark.Log(); !strings.Contains(log, "msg=stopping") {
		t.Errorf("the stop was not graceful:\n%s", log)
	}
	u.awaitServing()
}

// watchdog: a daemon that stalls is killed and started again. The shipped unit would take half a minute for that, so
// this step shortens WatchdogSec; the steps before it run with the shipped value, because on a machine without CPU the
// daemon may not feed its watchdog for seconds.
func (u *unit) watchdog(t *testing.T) {
	if shipped, err := time.ParseDuration(strings.ReplaceAll(u.s.Property(u.name, "WatchdogUSec"), " ", "")); err != nil || shipped == 0 {
		t.Fatalf("the unit has no WatchdogSec= (%v)", err)
	}
	const limit = 4 * time.Second
	u.s.WriteFile(systemd.File{
		Path:    "/etc/systemd/system/" + u.name + ".d/watchdog.conf",
		Content: fmt.Sprintf("[Service]\nWatchdogSec=%d\n", int(limit.Seconds())),
	})
	u.s.Systemctl("daemon-reload")
	u.s.Systemctl("restart", u.name)
	pid := u.s.MainPID(u.name)
	time.Sleep(limit + time.Second)
	if now := u.s.MainPID(u.name); now != pid {
		t.Errorf("process %d, was %d: the watchdog is not fed", now, pid)
	}
	mark, begun := u.s.JournalMark(), time.Now()
	u.s.Kill(pid, syscall.SIGSTOP)
	// TimeoutAbortSec= is the time that systemd gives the daemon to handle SIGABRT and print its stacks.
	const abort = 3 * time.Second
	ended := mark.WaitLog("Main process exited, code=killed", soon).At.Sub(begun)
	t.Logf("killed %s after it was stopped", ended)
	if ended > limit+abort+allowance {
		t.Errorf("killed %s after it was stopped, want at most %s", ended, limit+abort)
	}
	u.awaitRestart(mark, pid)
	u.awaitServing()
}
