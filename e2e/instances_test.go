package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// many is a pair of directors with a number of instances.
type many struct {
	instances int
	advert    time.Duration
}

func (m many) String() string { return fmt.Sprintf("%d instances at %s", m.instances, m.advert) }

// instanceVIP is the VIP of an instance, counted from 1.
func instanceVIP(n int) string { return fmt.Sprintf("10.77.1.%d", n) }

// file is the cluster file. All instances are on one interface.
func (m many) file() string {
	text, _, _ := strings.Cut(fileHeader(3, m.advert.String(), true, ""), "  - name: mysql")
	var b strings.Builder
	b.WriteString(text)
	for n := 1; n <= m.instances; n++ {
		fmt.Fprintf(&b, "  - {name: i%d, interface: eth0, virtual_router_id: %d, advert_interval: %s, virtual_addresses: [%s], per_node: {lvs-master: {priority: 150}}}\n",
			n, n, m.advert, instanceVIP(n))
	}
	return b.String()
}

// conf is the same for keepalived.
func (m many) conf(name string) string {
	priority := map[bool]int{false: 100, true: 150}[name == "lvs-master"]
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n  router_id %s\n}\n", name)
	for n := 1; n <= m.instances; n++ {
		fmt.Fprintf(&b, "vrrp_instance i%d {\n  state BACKUP\n  interface eth0\n  virtual_router_id %d\n  priority %d\n  advert_int %g\n  version 3\n  virtual_ipaddress { %s/32 }\n}\n",
			n, n, priority, m.advert.Seconds(), instanceVIP(n))
	}
	return b.String()
}

// start starts a pair and waits until lvs-master is MASTER of all instances. Both have the nice value of our unit. They start one
// after the other, so that no VIP moves while the scenario begins.
func (m many) start(t *testing.T, p product) *cluster {
	t.Helper()
	c := newCluster(t, shape{})
	if err := os.WriteFile(c.file, []byte(m.file()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{c.master, c.backup} {
		if p.name == lvsDirector.name {
			n.start()
		} else {
			conf := c.net.File(n.Name+"-keepalived.conf", m.conf(n.Name))
			n.daemon = n.Host.Start("keepalived", "nice", "-n", "-20", "keepalived", "--dont-fork", "--log-console", "--vrrp",
				"--use-file", conf, "--pid", n.Path("keepalived.pid"), "--vrrp_pid", n.Path("keepalived-vrrp.pid"))
		}
		lab.Eventually(t, 2*time.Minute, func() error {
			if held, other := m.held(c.master), m.held(c.backup); held != m.instances || other != 0 {
				return fmt.Errorf("lvs-master holds %d VIPs, lvs-backup %d", held, other)
			}
			return nil
		})
	}
	time.Sleep(10 * time.Second) // until the announcements of the take-over are over
	return c
}

// held returns how many of the VIPs a node has.
func (m many) held(n *node) int {
	n.t.Helper()
	return strings.Count(n.Run("ip", "-4", "-o", "addr", "show", "dev", "eth0"), " 10.77.1.")
}

// changes counts the transitions in a log of ours or of keepalived.
func (m many) changes(log string) int {
	return strings.Count(log, "msg=state") + strings.Count(log, " STATE")
}

// burn keeps CPUs busy until the returned function is called.
func burn(h *lab.Host, cpus int) (end func()) {
	loops := make([]*lab.Daemon, cpus)
	for i := range loops {
		loops[i] = h.Start(fmt.Sprintf("burn%d", i), "sh", "-c", "while :; do :; done")
	}
	return func() {
		for _, l := range loops {
			l.Kill()
		}
	}
}

// TestManyInstances: 64 instances with adverts every 100 ms, on a pair whose CPU is busy: no director loses or takes a VIP.
//
// Proves docs/performance.md: "No instance changes its state while other processes use all CPU."
func TestManyInstances(t *testing.T) {
	lab.Need(t, lab.StockKernel)
	lab.Long(t)
	m := many{64, 100 * time.Millisecond}
	c := m.start(t, lvsDirector)
	marks := []lab.LogMark{c.master.daemon.Mark(), c.backup.daemon.Mark()}
	end := burn(c.client, 2)
	time.Sleep(10 * time.Second)
	end()
	for _, mark := range marks {
		if n := m.changes(mark.Log()); n > 0 {
			t.Errorf("%d transitions:\n%s", n, mark.Log())
		}
	}
	if held, other := m.held(c.master), m.held(c.backup); held != m.instances || other != 0 {
		t.Errorf("lvs-master holds %d VIPs, lvs-backup %d", held, other)
	}
}

// effort is what a product used.
type effort struct {
	cpu      map[string]float64 // percent of a CPU, by node
	resident map[string]float64 // MB, by node; for keepalived of both processes, what they share counted once
	changes  int
}

// TestBenchInstances: what many instances cost, beside keepalived on the same kernel, and whether one changes its state while
// both CPUs are busy. It runs on the machine's own kernel; LVS_BENCH_TIME is how long each pair runs, 20s if it is not set.
//
// Proves docs/performance.md: "`make bench-instances` prints the figures of many instances."
func TestBenchInstances(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Bench(t)
	length, err := time.ParseDuration(os.Getenv("LVS_BENCH_TIME"))
	if err != nil {
		length = 20 * time.Second
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-28s %-10s | %-25s | %-25s | %s\n", "", "", "lvs-director", "keepalived", "ratio")
	for _, m := range []many{{64, 100 * time.Millisecond}, {255, time.Second}} {
		found := map[string]effort{}
		for _, p := range products {
			t.Run(fmt.Sprintf("%s/%s", m, p.name), func(t *testing.T) { found[p.name] = m.measure(t, p, length) })
		}
		ours, theirs := found[lvsDirector.name], found[keepalived.name]
		for _, n := range []string{"lvs-master", "lvs-backup"} {
			fmt.Fprintf(&table, "%-28s %-10s | %6.2f %% CPU %6.1f MB     | %6.2f %% CPU %6.1f MB     | %.2f CPU, %.2f memory\n", m, n,
				ours.cpu[n], ours.resident[n], theirs.cpu[n], theirs.resident[n], ours.cpu[n]/theirs.cpu[n], ours.resident[n]/theirs.resident[n])
		}
		fmt.Fprintf(&table, "%-28s %-10s | %-25d | %-25d |\n", "", "changes", ours.changes, theirs.changes)
		if ours.changes > 0 {
			t.Errorf("%s: %d changes of state while the CPUs were busy", m, ours.changes)
		}
	}
	t.Log(table.String())
}

// measure runs a pair, first for its CPU time, then with busy CPUs.
func (m many) measure(t *testing.T, p product, length time.Duration) (e effort) {
	c := m.start(t, p)
	nodes := []*node{c.master, c.backup}
	e = effort{cpu: map[string]float64{}, resident: map[string]float64{}}
	before, begun := map[*node]time.Duration{}, time.Now()
	for _, n := range nodes {
		before[n], _ = family(t, n.daemon.PID())
	}
	time.Sleep(length)
	elapsed := time.Since(begun)
	for _, n := range nodes {
		cpu, resident := family(t, n.daemon.PID())
		e.cpu[n.Name], e.resident[n.Name] = 100*float64(cpu-before[n])/float64(elapsed), resident/1e6
	}
	marks := []lab.LogMark{c.master.daemon.Mark(), c.backup.daemon.Mark()}
	end := burn(c.client, 2)
	time.Sleep(length)
	end()
	for _, mark := range marks {
		log := mark.Log()
		if n := m.changes(log); n > 0 {
			e.changes += n
			t.Logf("%d changes, which begin with\n%s", n, log[:min(len(log), 1000)])
		}
	}
	return e
}

// family returns the CPU time and the resident memory, in bytes, of a process and its children. Ticks would not count a
// process that works for less than a tick after a timer; schedstat does.
func family(t *testing.T, pid int) (cpu time.Duration, resident float64) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/", pid)
	threads, err := filepath.Glob(dir + "task/*/schedstat")
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	for _, file := range threads {
		text, _ := os.ReadFile(file) // a thread that has ended meanwhile
		if words := strings.Fields(string(text)); len(words) > 0 {
			n, _ := strconv.ParseInt(words[0], 10, 64)
			cpu += time.Duration(n)
		}
	}
	text, err := os.ReadFile(dir + "smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "Pss:" {
			n, _ := strconv.ParseFloat(words[1], 64)
			resident += n * 1024
		}
	}
	children, _ := os.ReadFile(fmt.Sprintf("%stask/%d/children", dir, pid))
	for _, child := range strings.Fields(string(children)) {
		id, _ := strconv.Atoi(child)
		c, r := family(t, id)
		cpu, resident = cpu+c, resident+r
	}
	return cpu, resident
}
