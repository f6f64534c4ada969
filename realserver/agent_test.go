package realserver

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	allIgnore    = "net.ipv4.conf.all.arp_ignore"
	allAnnounce  = "net.ipv4.conf.all.arp_announce"
	eth0Ignore   = "net.ipv4.conf.eth0.arp_ignore"
	eth0Announce = "net.ipv4.conf.eth0.arp_announce"
	stateFile    = "state.json"
)

func readAll(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeAll(t *testing.T, dir string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, stateFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) expect(what string, want ...string) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.history(), comparing); diff != "" {
		m.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (m *machine) expectProblem(part string) {
	m.t.Helper()
	problems := m.agent.Snapshot().Problems
	if part == "" && len(problems) > 0 || !strings.Contains(strings.Join(problems, "\n"), part) {
		m.t.Errorf("problems %q, want one that contains %q", problems, part)
	}
}

var drUp = []string{
	"sysctl net.ipv4.conf.all.arp_announce=2", "sysctl net.ipv4.conf.all.arp_ignore=1",
	"sysctl net.ipv4.conf.eth0.arp_announce=2", "sysctl net.ipv4.conf.eth0.arp_ignore=1",
	"ip addr replace 10.77.0.100/32 dev lo",
}

var drDown = []string{
	"ip addr del 10.77.0.100/32 dev lo",
	"sysctl net.ipv4.conf.all.arp_announce=0", "sysctl net.ipv4.conf.all.arp_ignore=0",
	"sysctl net.ipv4.conf.eth0.arp_announce=0", "sysctl net.ipv4.conf.eth0.arp_ignore=0",
}

func TestDRSilenceBeforeTheVIPAndTheVIPBeforeTheNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.expect("start", drUp...)
		m.expectProblem("")
		s := m.agent.Snapshot()
		if s.Node != node || s.Role != "realserver" || len(s.VirtualServers) != 1 || s.VirtualServers[0].State != "up" ||
			s.VirtualServers[0].Reason != "up: 10.77.0.100 is on lo and stays out of ARP" {
			t.Errorf("status %+v", s)
		}
		if len(s.Addresses) != 1 || s.Addresses[0].Name != "lo 10.77.0.100/32" || s.Addresses[0].Have != "present" || len(s.Sysctls) != 4 {
			t.Errorf("kept %+v %+v", s.Addresses, s.Sysctls)
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("stop", drDown...)
	})
}

func TestForeignHandsAreHealedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.history()

		m.foreignDel(onLo)
		m.pass(passSpacing + settle)
		m.expect("VIP deleted", "ip addr replace 10.77.0.100/32 dev lo")

		m.foreignSet(allIgnore, "0")
		m.foreignSet(eth0Ignore, "0")
		m.settle()
		m.expect("arp_ignore reset", "sysctl net.ipv4.conf.all.arp_ignore=1", "sysctl net.ipv4.conf.eth0.arp_ignore=1")

		m.plug(addr.Link{Index: 9, Name: "eth1.7", Kind: "vlan"})
		m.pass(passSpacing + settle)
		m.expect("new interface", "sysctl net/ipv4/conf/eth1.7/arp_announce=2", "sysctl net/ipv4/conf/eth1.7/arp_ignore=1")

		m.mu.Lock()
		m.links[0].Up = false
		m.mu.Unlock()
		m.tell()
		m.settle()
		m.expect("lo set down", "ip link set lo up")

		repairs := map[string]int{}
		for _, k := range append(m.agent.Snapshot().Addresses, m.agent.Snapshot().Sysctls...) {
			repairs[k.Name] = k.Repairs
		}
		want := map[string]int{
			"lo 10.77.0.100/32": 1, allIgnore: 1, allAnnounce: 0, eth0Ignore: 1, eth0Announce: 0,
			"net/ipv4/conf/eth1.7/arp_ignore": 0, "net/ipv4/conf/eth1.7/arp_announce": 0,
		}
		if diff := cmp.Diff(want, repairs); diff != "" {
			t.Errorf("repairs (-want +got):\n%s", diff)
		}
	})
}

func TestASysctlIsHealedWithinASecondWhateverTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.history()
		for range 20 {
			m.pass(90 * time.Millisecond)
			m.foreignSet(allIgnore, "0")
			m.settle()
			m.expect("arp_ignore reset", "sysctl net.ipv4.conf.all.arp_ignore=1")
		}
	})
}

func TestALostEventIsFoundAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.history()
		m.mu.Lock()
		m.drop("lo", onLo.Prefix)
		m.mu.Unlock()
		m.pass(lookInterval + sysctlInterval)
		m.expect("VIP deleted without an event", "ip addr replace 10.77.0.100/32 dev lo")
	})
}

func TestAFightIsLoggedSeldomAndDoesNotBurnTheCPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.history()
		for range 1000 {
			m.foreignDel(onLo)
			time.Sleep(10 * time.Millisecond)
		}
		m.settle()
		if n := len(m.history()); n < 50 || n > 110 {
			t.Errorf("%d repairs in 10 s", n)
		}
		if n := strings.Count(m.log.String(), "VIP was gone"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, m.log.String())
		}
		m.pass(logInterval)
		m.foreignDel(onLo)
		m.settle()
		if n := strings.Count(m.log.String(), "VIP was gone"); n != 2 {
			t.Errorf("logged %d times after a while", n)
		}
	})
}

func TestForeignSysctlsAreNotRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.foreignSet(allAnnounce, "2") // already the desired value before the start
		m.start(cluster(config.DR))
		m.foreignSet(allAnnounce, "1")
		m.settle()
		m.history()
		// Just before the stop, so that it is not repaired first.
		m.foreignSet(eth0Ignore, "8")
		m.failing("sysctl net.ipv4.conf.eth0.arp_ignore=1", errors.New("too late"))
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("stop", "ip addr del 10.77.0.100/32 dev lo", "sysctl net.ipv4.conf.all.arp_ignore=0", "sysctl net.ipv4.conf.eth0.arp_announce=0")
		if m.value(allAnnounce) != "2" || m.value(eth0Ignore) != "8" {
			t.Errorf("all.arp_announce %s, want the 2 from before; eth0.arp_ignore %s, want the foreign 8", m.value(allAnnounce), m.value(eth0Ignore))
		}
	})
}

func TestACrashAndAnotherFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.crash()
		m.start(cluster(config.DR))
		m.expect("adoption writes nothing")
		m.crash()
		cfg := cluster(config.DR)
		cfg.VirtualServers[0].Address = netip.MustParseAddr("10.77.0.200")
		m.start(cfg)
		m.expect("the file has another VIP", "ip addr replace 10.77.0.200/32 dev lo", "ip addr del 10.77.0.100/32 dev lo")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("stop after two crashes", append([]string{"ip addr del 10.77.0.200/32 dev lo"}, drDown[1:]...)...)
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.history()

		m.err = errors.New("cluster.yaml:4:1: bad\ncluster.yaml:5:1: worse")
		if err := m.agent.Reload(t.Context()); !errors.Is(err, m.err) {
			t.Errorf("reload of an invalid file: %v", err)
		}
		m.settle()
		m.expect("invalid file")
		m.expectProblem("")

		m.next, m.err = cluster(config.NAT), nil
		m.next.Digest = "sha256:01"
		m.leadThrough("10.78.0.1")
		if err := m.agent.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		m.expect("dr becomes nat", drDown...)
		m.expectProblem("")
		if s := m.agent.Snapshot(); s.ConfigDigest != "sha256:01" || s.VirtualServers[0].State != "up" {
			t.Errorf("status %+v", s)
		}

		m.next = cluster(config.DR)
		if err := m.agent.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		m.expect("nat becomes dr", drUp...)

		m.next = cluster()
		if err := m.agent.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		m.expect("no real server any more", drDown...)
		m.expectProblem("cluster.yaml names no real server")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("stop")
		if err := m.agent.Reload(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("reload after the stop: %v", err)
		}
	})
}

func TestAVIPIsHeldBackWhereARPWouldTellOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.failing("sysctl net.ipv4.conf", errors.New("refused"))
		m.start(cluster(config.DR))
		m.expect("sysctls refused")
		m.expectProblem("VIP lo 10.77.0.100/32 is not added, because this machine would answer ARP for it: net.ipv4.conf.all.arp_ignore is 0 and net.ipv4.conf.eth0.arp_ignore is 0, not 1")
		if s := m.agent.Snapshot().VirtualServers[0]; s.State != "down" || s.Reason != "down: 10.77.0.100 is not on lo" {
			t.Errorf("%+v", s)
		}
		m.failing("sysctl net.ipv4.conf", nil)
		m.settle()
		m.expect("sysctls taken", drUp...)
		m.expectProblem("")
		if !strings.Contains(m.log.String(), "over: VIP lo 10.77.0.100/32 is not added") {
			t.Errorf("log:\n%s", m.log.String())
		}
	})
}

func TestTheSysctlsStayWhileAVIPCannotBeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.history()
		m.failing("ip addr del", errors.New("busy"))
		if err := m.stop(); err == nil || !strings.Contains(err.Error(), "could not undo all changes") {
			t.Errorf("stop: %v", err)
		}
		m.expect("stop")
		m.failing("ip addr del", nil)
		m.start(cluster(config.DR))
		_ = m.stop()
		m.expect("the next stop", drDown...)
	})
}

func TestWithoutPrivilegeItEndsWithOneSentence(t *testing.T) {
	for start, reason := range map[string]error{"sysctl": kernel.ErrNotPermitted, "ip addr replace": kernel.ErrNotPermitted} {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(t, lo, eth0)
			m.failing(start, reason)
			m.start(cluster(config.DR))
			if err := m.stop(); !errors.Is(err, reason) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %v", err, reason)
			}
			if m.value(allIgnore) != "0" || strings.Contains(m.log.String(), "WARN") {
				t.Errorf("arp_ignore %s, log:\n%s", m.value(allIgnore), m.log.String())
			}
		})
	}
}

func TestTUNWaitsForItsModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.TUN))
		m.expect("without the module", drUp[:4]...)
		m.expectProblem("load the kernel module ipip")
		if s := m.agent.Snapshot(); s.VirtualServers[0].State != "down" || s.Addresses[0].Problem == "" {
			t.Errorf("status %+v", s)
		}
		m.plug(tunl0)
		m.settle()
		m.expect("with it", "sysctl net.ipv4.conf.tunl0.rp_filter=2", "ip link set tunl0 up", "ip addr replace 10.77.0.100/32 dev tunl0")
		m.expectProblem("")
		if s := m.agent.Snapshot(); s.VirtualServers[0].State != "up" {
			t.Errorf("status %+v", s.VirtualServers)
		}
		m.unplug("tunl0")
		m.settle()
		m.expectProblem("load the kernel module ipip")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if m.value(allIgnore) != "0" {
			t.Error("arp_ignore was not restored")
		}
	})
}

func TestNATSaysWhenAnswersMissTheDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.leadThrough("10.77.0.254")
		m.start(cluster(config.NAT))
		m.expect("nat")
		m.expectProblem("virtual server nat: answers leave through 10.77.0.254, which is not a director's address")
		if s := m.agent.Snapshot().VirtualServers[0]; s.State != "down" {
			t.Errorf("%+v", s)
		}
		if n := strings.Count(m.log.String(), "level=ERROR"); n != 1 || strings.Contains(m.log.String(), "level=WARN") {
			t.Errorf("%d errors:\n%s", n, m.log.String())
		}
		m.leadThrough("10.78.0.1")
		m.pass(lookInterval + sysctlInterval)
		m.expectProblem("")
	})
}

func TestALookThatFailsChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.history()
		m.failing("links", errors.New("interrupted"))
		m.foreignDel(onLo)
		m.settle()
		m.expect("blind")
		m.expectProblem("interrupted")
		m.failing("links", nil)
		m.settle()
		m.expect("seeing again", "ip addr replace 10.77.0.100/32 dev lo")
		m.expectProblem("")
	})
}

func TestTheStateFileForgetsInterfacesThatAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		for range 3 {
			m.plug(addr.Link{Name: "veth1", Kind: "veth"})
			m.settle()
			if !strings.Contains(string(readAll(t, m.dir)), "conf.veth1.") {
				t.Error("the new interface is not recorded")
			}
			m.unplug("veth1")
			m.settle()
		}
		if state := string(readAll(t, m.dir)); strings.Contains(state, "veth1") || !strings.Contains(state, eth0Ignore) {
			t.Errorf("state file:\n%s", state)
		}
	})
}

func TestARenamedInterfaceKeepsItsFormerValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.foreignSet(eth0Announce, "1")
		m.start(cluster(config.DR))
		m.mu.Lock()
		m.links[1].Name = "lan.1"
		for _, name := range []string{"arp_ignore", "arp_announce"} {
			m.sysctls[confKey("lan.1", name)] = m.sysctls[confKey("eth0", name)]
			delete(m.sysctls, confKey("eth0", name))
		}
		m.mu.Unlock()
		m.tell()
		m.settle()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if i, n := m.value("net/ipv4/conf/lan.1/arp_ignore"), m.value("net/ipv4/conf/lan.1/arp_announce"); i != "0" || n != "1" {
			t.Errorf("after the stop arp_ignore is %s and arp_announce %s, want 0 and 1", i, n)
		}
	})
}

func TestWithdrawTakesBackWhatACrashLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.crash()
		m.withdraw(t)
		m.expect("withdraw", drDown...)
		m.withdraw(t)
		m.expect("withdraw again")
	})
}

func TestAStateFileThatCannotBeSavedIsAProblemAndNoObstacle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster())
		// A directory in place of the file makes the rename fail even for root.
		file := filepath.Join(m.dir, stateFile)
		_ = os.Remove(file)
		if err := os.MkdirAll(filepath.Join(file, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		m.next, m.err = cluster(config.DR), nil
		if err := m.agent.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		m.expect("reload", drUp...)
		m.expectProblem("kept in memory only")
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		m.settle()
		m.expectProblem("")
		if !strings.Contains(string(readAll(t, m.dir)), eth0Ignore) {
			t.Error("the state file was not saved later")
		}
	})
}
