package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// disableModuleLoading keeps the kernel from loading modules on demand until the test ends.
func disableModuleLoading(t *testing.T) {
	t.Helper()
	const loader = "/proc/sys/kernel/modprobe" // path of the program that loads modules
	was, err := os.ReadFile(loader)
	if err == nil {
		err = os.WriteFile(loader, []byte("/bin/false"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(loader, was, 0o644); err != nil {
			t.Error(err)
		}
		modprobe(t, "ip_vs")
	})
}

func modprobe(t *testing.T, module string) {
	t.Helper()
	if out, err := exec.Command("modprobe", module).CombinedOutput(); err != nil {
		t.Errorf("modprobe %s: %v: %s", module, err, out)
	}
}

// TestModuleUnloaded: the IPVS modules are removed while a director runs. It keeps the VIP, reports the cause and the
// remedy, retries at growing intervals, and rebuilds the table when the modules are loaded again.
//
// Proves docs/operations.md: "elections continue; the daemon retries after 0.1 s to 5 s, and restores the table when
// the modules are loaded again. The log names the missing module"
func TestModuleUnloaded(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Exclusive(t)
	c := newCluster(t, shape{advert: "100ms", instance: "lease: 30s"})
	c.answering()
	c.startMaster()
	disableModuleLoading(t)
	with, _ := c.master.waits(2 * time.Second)
	mark := c.master.daemon.Mark()
	c.master.daemon.Pause() // otherwise it would restore its table before the module is removed
	c.master.Run("ipvsadm", "-C")
	unload(t, `^ip_vs_`)
	unload(t, `^ip_vs$`)
	c.master.daemon.Resume()
	mark.WaitLog(`level=ERROR msg="cannot bring the IPVS table to the desired state; trying again" error=".*this kernel has no IPVS: load the module ip_vs`, soon)
	c.master.checkWarns(t, "this kernel has no IPVS: load the module ip_vs", true)
	watch, adverts := c.master.watchVIP(), capture.Start(c.client, "eth0", lab.VRRP+" and src host 10.77.0.2")
	without, share := c.master.waits(2 * time.Second)
	onTime(t, time.Now(), adverts.Stop(), 100*time.Millisecond)
	if periods := watch.periods(); len(periods) > 0 || !c.master.holds() {
		t.Errorf("the VIP moved: %v", periods)
	}
	t.Logf("without the module it waits %d times in 2 s, with it %d times", without, with)
	// The limits detect a loop that waits only a millisecond and one that does not wait at all. The runtime's own
	// threads wait 200 to 500 times; unit tests judge how often the table is tried.
	if without > with+1000 || share > 0.5 {
		t.Errorf("without the module it waits %d times in 2 s, with it %d times, and takes %.0f %% of the CPU", without, with, 100*share)
	}
	if lines := strings.Count(mark.Log(), "level=ERROR"); lines > 3 {
		t.Errorf("%d log lines for one problem:\n%s", lines, mark.Log())
	}
	modprobe(t, "ip_vs")
	mark.WaitLog(`this kernel has no IPVS scheduler .*load the module ip_vs_rr`, soon)
	modprobe(t, "ip_vs_rr")
	mark.WaitLog(`msg="the IPVS table is in the desired state again"`, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	c.master.checkWarns(t, "this kernel has no IPVS", false)
	client := measure.Start(c.client, vipPort, measure.Options{})
	client.WaitAnswered("", soon)
	client.Stop()
	if log := mark.Log(); strings.Contains(log, "to=BACKUP") || strings.Contains(log, "to=FAULT") {
		t.Errorf("it left MASTER:\n%s", log)
	}
}

// waits measures for a time how often the node's daemon waits, and its share of the CPU (1 is all of it).
func (n *node) waits(during time.Duration) (times int, share float64) {
	before := n.daemon.Usage()
	time.Sleep(during)
	after := n.daemon.Usage()
	return after.VoluntarySwitches - before.VoluntarySwitches, float64(after.CPU-before.CPU) / float64(after.At.Sub(before.At))
}

// TestEventsLost: more address events occur than the kernel's event queue holds. A deletion of the VIP whose event was
// lost is still detected.
//
// Proves docs/operations.md: "more address and interface events than the kernel's queue holds | everything is read
// again; that is done every second anyway"
func TestEventsLost(t *testing.T) {
	lab.Need(t, lab.IPVS)
	// With this advert interval the pause is no stall; after a stall a MASTER would add its VIPs again in any case.
	c := newCluster(t, shape{advert: "4s", instance: "lease: 60s"})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.awaitServing(c.master.start())
	const noise = 2000
	c.master.Run("ip", "link", "add", "dummy7", "type", "dummy")
	file := c.net.File("noise", strings.Repeat("addr add 10.90.0.1/32 dev dummy7\naddr del 10.90.0.1/32 dev dummy7\n", noise))
	mark := c.master.daemon.Mark()
	c.master.daemon.Pause()
	if code := c.master.Host.Start("noise", "ip", "-batch", file).Wait(time.Minute); code != 0 {
		t.Fatalf("ip -batch: exit code %d", code)
	}
	c.master.Run("ip", "addr", "del", vipPrefix, "dev", "eth0")
	if lost := c.master.eventsLost(); lost == 0 {
		t.Errorf("the kernel queued all %d events", 2*noise)
	}
	watch, resumed := c.master.watchVIP(), time.Now()
	c.master.daemon.Resume()
	if took := watch.awaitPeriods(1)[0].from.Sub(resumed); took > 2*time.Second+allowance {
		t.Errorf("the VIP was added again after %s, want at most 2 s:\n%s", took, mark.Log())
	}
	client := measure.Start(c.client, vipPort, measure.Options{})
	client.WaitAnswered("", soon)
	client.Stop()
}

// eventsLost returns the number of messages that the netlink sockets of the node's daemon dropped, from
// /proc/PID/net/netlink.
func (n *node) eventsLost() (lost int) {
	n.t.Helper()
	for i, line := range strings.Split(n.ReadFile(fmt.Sprintf("/proc/%d/net/netlink", n.daemon.PID())), "\n") {
		if fields := strings.Fields(line); i > 0 && len(fields) > 8 {
			drops, err := strconv.Atoi(fields[8])
			if err != nil {
				n.t.Fatalf("%q: %v", line, err)
			}
			lost += drops
		}
	}
	return lost
}

// TestMemoryShort: processes use up all memory until the kernel kills them. The directors, which their unit protects
// from the OOM killer, survive, and there is one holder.
//
// Proves docs/operations.md: "memory is exhausted | the unit's `OOMScoreAdjust=-900` makes the kernel kill another
// process"
func TestMemoryShort(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Exclusive(t)
	lab.Long(t)
	c := stallCluster(t)
	for _, n := range []*node{c.master, c.backup} { // as OOMScoreAdjust= of the unit does
		n.Run("sh", "-c", fmt.Sprintf("echo -900 >/proc/%d/oom_score_adj", n.daemon.PID()))
	}
	adverts := capture.Start(c.client, "eth0", lab.VRRP+" and src host 10.77.0.2")
	for range 3 {
		hog := c.client.Start("hog", "sh", "-c", "echo 1000 >/proc/self/oom_score_adj; exec tail /dev/zero")
		if code := hog.Wait(time.Minute); code != 137 {
			t.Fatalf("the hog was not killed: exit code %d\n%s", code, hog.Log())
		}
	}
	packets := adverts.Stop()
	t.Logf("%d adverts, at most %s apart, while three processes used up all memory", len(packets), advertGap(packets))
	for _, n := range []*node{c.master, c.backup} {
		if !n.daemon.Running() {
			t.Fatalf("%s has exited:\n%s", n.Name, n.daemon.Log())
		}
	}
	c.awaitHolder(c.master, soon)
	lab.Eventually(t, soon, func() error { return c.heldOnlyBy(c.master) })
}

// TestFrozenDisk: the file system of the state directory is frozen, so that writes to it block. The director continues
// everything, including reloads, and saves its state as soon as the file system is thawed.
//
// Proves docs/operations.md: "the disk of the state directory does not answer | no operation waits for it for more than
// a second or two, including reloads"
func TestFrozenDisk(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Exclusive(t)
	const added = "10.77.0.101"
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	state, image := c.master.Path("state"), c.master.Path("disk")
	c.master.Run("sh", "-c", fmt.Sprintf("modprobe loop && mkdir -p %s && truncate -s 16M %s && mkfs.ext4 -q -F %[2]s && mount -o loop %[2]s %[1]s", state, image))
	thaw := func() { _, _ = c.master.Try("fsfreeze", "-u", state) }
	t.Cleanup(func() {
		thaw()
		c.master.daemon.Kill()
		c.master.Run("umount", state)
	})
	c.startMaster()
	mark := c.master.daemon.Mark()
	c.master.Run("fsfreeze", "-f", state)
	adverts, begun := capture.Start(c.client, "eth0", lab.VRRP+" and src host 10.77.0.2"), time.Now()
	adverts.Wait("prio 150", soon)
	c.net.File("cluster.yaml", c.text()+fmt.Sprintf(
		"  - {name: other, address: %s, port: 3306, scheduler: rr, forward: dr, checks: [], real_servers: [{name: mysql1, address: 10.77.0.11}]}\n", added))
	c.reload("[10.77.0.100/32]", "[10.77.0.100/32, "+added+"/32]")
	t.Logf("the reload took %s", time.Since(begun))
	lab.Eventually(t, soon, func() error {
		if !c.master.HasAddress(added) || !c.master.table().Service(added+":3306").Server("10.77.0.11:3306").Exists() {
			return fmt.Errorf("after the reload:\n%s", c.master.dataPlane())
		}
		return nil
	})
	mark.WaitLog(`level=WARN msg="cannot write the state file; after a crash some VIPs, virtual servers or sysctls might not be cleaned up" error=".*the disk does not answer: kept in memory only`, soon)
	c.master.checkWarns(t, "the disk does not answer", true)
	lab.Eventually(t, soon, func() error {
		if sent := len(adverts.Packets()); sent < minAdverts {
			return fmt.Errorf("only %d adverts", sent)
		}
		return nil
	})
	onTime(t, time.Now(), adverts.Stop(), 100*time.Millisecond)
	thaw()
	mark.WaitLog(`msg="the state file is written again"`, soon)
	lab.Eventually(t, soon, func() error {
		if text := c.master.ReadFile(state + "/state.json"); !strings.Contains(text, added) {
			return fmt.Errorf("the state file does not have %s:\n%s", added, text)
		}
		return nil
	})
	if log := mark.Log(); strings.Contains(log, "msg=state") {
		t.Errorf("an election:\n%s", log)
	}
	if code := c.master.daemon.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	// A director that starts on a frozen file system serves, and writes its state after the thaw.
	c.master.Run("fsfreeze", "-f", state)
	c.master.start()
	lab.Eventually(t, soon, func() error {
		if !c.master.HasAddress(added) || !c.master.table().Service(added+":3306").Server("10.77.0.11:3306").Exists() {
			return fmt.Errorf("after the start:\n%s", c.master.dataPlane())
		}
		return nil
	})
	c.master.checkWarns(t, "the disk does not answer", true)
	thaw()
	c.master.daemon.WaitLog(`msg="the state file is written again"`, soon)
	c.master.checkWarns(t, "the disk does not answer", false)
	lab.Eventually(t, soon, func() error {
		if text := c.master.ReadFile(state + "/state.json"); !strings.Contains(text, added) || !strings.Contains(text, "expire_nodest_conn") {
			return fmt.Errorf("the state file is incomplete:\n%s", text)
		}
		return nil
	})
	if code := c.master.daemon.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
