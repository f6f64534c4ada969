package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
)

const (
	directorUnit = "lvs-director.service"
	agentUnit    = "lvs-realserver.service"

	// directorExposure and agentExposure are the highest exposure levels that `systemd-analyze security` may report, in
	// tenths. The remaining exposure is required: root, the host's network, its sysctls, five capabilities, packet sockets,
	// real-time scheduling by a drop-in.
	directorExposure = 31
	agentExposure    = 27
)

// shipped returns a file of deploy/, or of the directory LVS_DEPLOY.
func shipped(t *testing.T, path string) string {
	t.Helper()
	dir := os.Getenv("LVS_DEPLOY")
	if dir == "" {
		dir = filepath.Join("..", "deploy")
	}
	content, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// underSystemd boots a systemd on the node with the product installed as documented and no unit started.
func (n *node) underSystemd() *systemd.Instance {
	n.t.Helper()
	o := systemd.Options{Programs: map[string]string{}, Files: []systemd.File{
		{Path: "/etc/sysusers.d/lvs-director.conf", Content: shipped(n.t, "sysusers.d/lvs-director.conf")},
	}}
	for _, p := range []string{"lvs-director", "lvs-realserver", "lvsctl"} {
		o.Programs["/usr/local/bin/"+p] = program(n.t, p)
	}
	for _, u := range []string{directorUnit, agentUnit} {
		o.Files = append(o.Files, systemd.File{Path: "/etc/systemd/system/" + u, Content: shipped(n.t, "systemd/"+u)})
	}
	for _, m := range []string{"lvs-director.conf", "lvs-realserver.conf"} {
		o.Files = append(o.Files, systemd.File{Path: "/etc/modules-load.d/" + m, Content: shipped(n.t, "modules-load.d/"+m)})
	}
	content, err := os.ReadFile(n.file)
	if err != nil {
		n.t.Fatal(err)
	}
	o.Files = append(o.Files, clusterFile(string(content)))
	s := systemd.Start(n.Host, o)
	s.Run("systemd-sysusers", "/etc/sysusers.d/lvs-director.conf")
	return s
}

func clusterFile(content string) systemd.File {
	return systemd.File{Path: "/etc/lvs-director/cluster.yaml", Content: content, Mode: 0o640}
}

// TestUnitsAreSound: systemd reports nothing about the shipped units, and loads the modules that they need.
//
// Proves docs/operations.md: "`systemd-analyze verify` reports no problems in the units, and `systemd-analyze security`
// rates the exposure of the director's at 3.1 or less, of the agent's at 2.7 or less"
// Proves docs/quickstart.md: "The daemon does not load kernel modules; the file in `modules-load.d` does."
func TestUnitsAreSound(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Systemd)
	lab.HasLongForm(t)
	c := newCluster(t, shape{})
	s := c.master.underSystemd()
	for unit, exposure := range map[string]int{directorUnit: directorExposure, agentUnit: agentExposure} {
		path := "/etc/systemd/system/" + unit
		if out := s.Run("sh", "-c", "systemd-analyze verify --man=no "+path+" 2>&1"); out != "" {
			t.Errorf("systemd-analyze verify %s:\n%s", unit, out)
		}
		out, err := s.Try("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+strconv.Itoa(exposure), path)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		t.Log(lines[len(lines)-1])
		if err != nil {
			t.Errorf("systemd-analyze security %s: %v\n%s", unit, err, out)
		}
	}
	if failed := s.Systemctl("list-units", "--failed", "--plain", "--no-legend"); failed != "" {
		t.Errorf("failed units, modules-load.d perhaps:\n%s", failed)
	}
	// The kernel is shared and may already have the modules, so the test checks that each is requested and present.
	log := s.Run("sh", "-c", "SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=debug /lib/systemd/systemd-modules-load 2>&1")
	for _, module := range strings.Fields("ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ipip") {
		if _, err := os.Stat("/sys/module/" + module); err != nil || !strings.Contains(log, "'"+module+"'") {
			t.Errorf("modules-load.d: %s: %v\n%s", module, err, log)
		}
	}
	t.Run("bad file", func(t *testing.T) {
		lab.LongPart(t)
		refusesBadFile(t, s)
	})
}

// TestUnitsDirector: under its unit a director has the privileges it needs and no others, reloads, and restores the
// machine when it is stopped. However it ends it is started again; until then the VIP is removed and the table stays.
//
// Proves docs/operations.md: "Both have the capabilities `CAP_NET_ADMIN` and `CAP_NET_RAW`; the director also has"
// Proves docs/operations.md: "After a crash systemd runs `lvs-director cleanup --addresses`, which removes the VIPs,
// and restarts the daemon after 1 s."
// Proves docs/operations.md: "systemd then restarts the daemon, which feeds the watchdog (`WatchdogSec=30s`) only while
// every loop makes progress."
// Proves docs/operations.md: "The director locks its own 18 MB (`VmLck` in `/proc/PID/status`)"
// Proves docs/operations.md: "Under journald every line carries its priority, so `journalctl -u lvs-director -p warning`
// shows what needs attention."
func TestUnitsDirector(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Systemd)
	lab.HasLongForm(t)
	// A long lease, so that a VIP that is gone soon was removed and did not expire.
	c := newCluster(t, shape{
		advert: "100ms", instance: "lease: 20s\n    notify: [{on: [any], command: [/usr/bin/id, -un]}]", check: "{type: tcp, interval: 500ms, timeout: 450ms, fall: 4, rise: 1}",
	})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.awaitAgent(c.mysql1)
	c.awaitAgent(c.mysql2)
	s := c.master.underSystemd()
	u := &unit{t: t, c: c, s: s, name: directorUnit}
	before := hostState(c.master.Host)

	begun := time.Now()
	s.Systemctl("start", directorUnit) // returns when the daemon is ready
	t.Logf("start: %s", time.Since(begun))
	u.awaitServing()

	t.Run("privileges", func(t *testing.T) { u.privileges(t, "00000000000030e0") }) // CAP_KILL 5, CAP_SETGID 6, CAP_SETUID 7, CAP_NET_ADMIN 12, CAP_NET_RAW 13
	t.Run("files", func(t *testing.T) { u.files(t, "director.sock") })
	t.Run("sysctls", func(t *testing.T) {
		if got := c.master.SysctlValue("net.ipv4.vs.expire_nodest_conn"); got != "1" {
			t.Errorf("expire_nodest_conn is %s", got)
		}
	})
	t.Run("priority", func(t *testing.T) {
		// Split at spaces: the process name has none.
		stat := strings.Fields(s.ReadFile(fmt.Sprintf("/proc/%d/stat", s.MainPID(directorUnit))))
		weight := strings.TrimSpace(s.ReadFile("/sys/fs/cgroup" + s.Property(directorUnit, "ControlGroup") + "/cpu.weight"))
		if nice := stat[18]; nice != "-20" || weight != "10000" {
			t.Errorf("nice %s, cpu.weight %s, want -20 and 10000", nice, weight)
		}
	})
	t.Run("code in memory", func(t *testing.T) { u.resident(t) })
	t.Run("hook", func(t *testing.T) { // the sandbox lets a program run as another user
		lab.Eventually(t, soon, func() error {
			if out, err := s.Try("lvsctl", "events"); err != nil || !strings.Contains(out, "/usr/bin/id: exit status 0") || !strings.Contains(out, ": nobody") {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	})
	t.Run("reload", u.reload)
	t.Run("kill -9", u.killed)
	for _, longer := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"kill -9, another file", u.killedBeforeAnotherFile},
		{"kill -9, broken file", u.killedBeforeABrokenFile},
		{"crash", u.crashed},
		{"SIGTERM", u.terminated},
		{"watchdog", u.watchdog},
	} {
		t.Run(longer.name, func(t *testing.T) {
			lab.LongPart(t)
			longer.run(t)
		})
	}
	t.Run("priorities", u.priorities)
	t.Run("stop", func(t *testing.T) {
		s.Systemctl("stop", directorUnit)
		assertRestored(t, c.master.Host, before)
		if out := s.Run("find", "/run/lvs-director", "-type", "s"); out != "" {
			t.Errorf("sockets remain: %s", out)
		}
		if got := s.Property(directorUnit, "Result"); got != "success" {
			t.Errorf("result of the stop: %s\n%s", got, s.Journal(directorUnit))
		}
	})
}

// priorities: journalctl -p finds the lines of each level, without the prefix that says so.
func (u *unit) priorities(t *testing.T) {
	u.s.Run("journalctl", "--sync")
	for priority, level := range map[string]string{"3": "level=ERROR", "4": "level=WARN", "6": "level=INFO"} {
		out, _ := u.s.Try("journalctl", "--quiet", "--output=cat", "_SYSTEMD_UNIT="+u.name, "_COMM="+strings.TrimSuffix(u.name, ".service"), "PRIORITY="+priority)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		for _, line := range lines {
			// The others are the stacks that Go prints at a SIGABRT.
			if strings.Contains(line, "level=") && !strings.HasPrefix(line, level+" ") {
				t.Errorf("priority %s: %s", priority, line)
			}
		}
		if !strings.Contains(out, level) && priority != "4" {
			t.Errorf("the journal has no line of priority %s:\n%s", priority, u.s.Journal(u.name))
		}
	}
}

// refusesBadFile: a daemon that cannot start because of its cluster file is not restarted.
func refusesBadFile(t *testing.T, s *systemd.Instance) {
	s.WriteFile(clusterFile("version: 1\nno_such_key: 1\n"))
	for _, unit := range []string{directorUnit, agentUnit} {
		if _, err := s.Try("systemctl", "start", unit); err == nil {
			t.Errorf("%s starts with a cluster file that does not validate", unit)
		}
	}
	lab.Consistently(t, 2*time.Second, func() error { // RestartSec is 1 s
		for _, unit := range []string{directorUnit, agentUnit} {
			got := strings.Fields(s.Systemctl("show", "--property=ActiveState,NRestarts,ExecMainStatus", unit))
			if strings.Join(got, " ") != "NRestarts=0 ExecMainStatus=2 ActiveState=failed" {
				return fmt.Errorf("%s: %s", unit, got)
			}
		}
		return nil
	})
	for _, unit := range []string{directorUnit, agentUnit} {
		if journal := s.Journal(unit); !strings.Contains(journal, "/etc/lvs-director/cluster.yaml:2:1: no_such_key") {
			t.Errorf("the journal does not have the position of the mistake:\n%s", journal)
		}
	}
}

// TestUnitsAgent: under its unit an agent works with one capability, keeps the VIP when it is killed, and restores the
// machine when it is stopped.
//
// Proves docs/operations.md: "Both have the capabilities `CAP_NET_ADMIN` and `CAP_NET_RAW`; the director also has"
// Proves docs/agent.md: "After a crash or `kill -9` everything stays in place, and clients are still served."
func TestUnitsAgent(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Systemd)
	lab.Long(t)
	c := newCluster(t, shape{})
	s := c.mysql1.underSystemd()
	u := &unit{t: t, c: c, s: s, name: agentUnit}
	before := hostState(c.mysql1.Host)
	s.Systemctl("start", agentUnit)
	// The unit's hardening lets it write the sysctls.
	c.awaitAgent(c.mysql1)
	t.Run("privileges", func(t *testing.T) { u.privileges(t, "0000000000003000") })
	t.Run("files", func(t *testing.T) { u.files(t, "realserver.sock") })
	t.Run("kill -9", func(t *testing.T) {
		lab.LongPart(t)
		pid := s.MainPID(agentUnit)
		s.Kill(pid, syscall.SIGKILL)
		lab.Eventually(t, soon, func() error {
			if err := c.mysql1.readyForDR(); err != nil { // must hold all the time
				t.Error(err)
			}
			return u.restarted(pid)
		})
	})
	t.Run("stop", func(t *testing.T) {
		s.Systemctl("stop", agentUnit)
		assertRestored(t, c.mysql1.Host, before)
	})
}

// A unit is a unit under test and the systemd that runs it.
type unit struct {
	t    *testing.T
	c    *cluster
	s    *systemd.Instance
	name string
}

// awaitServing waits until the director holds the VIP and has both real servers in its table.
func (u *unit) awaitServing() {
	u.t.Helper()
	u.c.awaitHolder(u.c.master, soon)
	u.c.awaitTable(u.c.master, "10.77.0.11:3306", "10.77.0.12:3306")
}

// privileges compares the privileges of the main process in /proc/PID/status.
func (u *unit) privileges(t *testing.T, capabilities string) {
	status := u.s.ReadFile(fmt.Sprintf("/proc/%d/status", u.s.MainPID(u.name)))
	for _, want := range []string{
		"CapPrm:\t" + capabilities, "CapEff:\t" + capabilities, "CapBnd:\t" + capabilities,
		"CapInh:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(status, want+"\n") {
			t.Errorf("main process: not %q in\n%s", want, status)
		}
	}
}

func (u *unit) files(t *testing.T, socket string) {
	got := u.s.Run("stat", "-c", "%n %a %U:%G", "/run/lvs-director", "/run/lvs-director/"+socket, "/var/lib/lvs-director")
	want := `/run/lvs-director 755 root:lvs-director
/run/lvs-director/` + socket + ` 660 root:lvs-director
/var/lib/lvs-director 750 root:lvs-director
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// reload: `systemctl reload` fails for a file that does not validate, and the same process keeps running.
func (u *unit) reload(t *testing.T) {
	pid, good := u.s.MainPID(u.name), u.s.ReadFile("/etc/lvs-director/cluster.yaml")
	u.s.WriteFile(clusterFile(strings.Replace(good, "scheduler: rr", "scheduler: fastest", 1)))
	if _, err := u.s.Try("systemctl", "reload", u.name); err == nil {
		t.Errorf("the reload of a bad file succeeded")
	}
	u.s.WriteFile(clusterFile(strings.Replace(good, "scheduler: rr", "scheduler: lc", 1)))
	u.s.Systemctl("reload", u.name)
	lab.Eventually(t, soon, func() error {
		if got := u.c.master.table().Service(vipPort).Scheduler; got != "lc" {
			return fmt.Errorf("scheduler %s", got)
		}
		return nil
	})
	if now := u.s.MainPID(u.name); now != pid {
		t.Errorf("process %d, before the reload %d", now, pid)
	}
}
