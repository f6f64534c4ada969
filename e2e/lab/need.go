package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvs-director/lvs-director/e2e/suite"
	"github.com/lvs-director/lvs-director/internal/require"
)

// A Part is something that a scenario needs in addition to network namespaces.
type Part = require.Part

// The parts that scenarios need. Only the second kernel has those of the second group; a scenario that needs one runs
// there.
const (
	IPVS       = require.IPVS
	FRR        = require.FRR
	Keepalived = require.Keepalived
	MariaDB    = require.MariaDB
	Peers      = require.Peers
	Systemd    = require.Systemd
	Netem      = require.Netem

	NFTables    = require.NFTables
	SockDestroy = require.SockDestroy
	StockKernel = require.StockKernel // the kernel itself: several CPUs, HZ=250, no user-mode-linux
)

// Need declares which parts a scenario needs; no parts if network namespaces are enough. If a part is missing, the
// scenario is skipped, or fails if LVS_REQUIRE names the part (see package require); in a guest all parts are required.
//
// Need, Exclusive, Long, Longer, Bench and AnyKernel must be the first calls of a scenario, before New and anything else that
// touches the kernel: `labrun test` runs them on the host machine to plan the run.
func Need(t testing.TB, parts ...Part) {
	t.Helper()
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = string(p)
		if k := kernelOf(p); k != suite.UML {
			t.Attr(suite.AttrKernel, k)
		}
	}
	t.Attr(suite.AttrNeed, strings.Join(words, " "))
	if planning() {
		return
	}
	for _, p := range parts {
		if err := probe(p); err != nil {
			require.Skip(t, p, "%v", err)
		}
	}
}

// Exclusive declares that a scenario needs a guest to itself: nothing ran in it before and nothing runs in it
// afterwards, because the scenario removes modules, freezes disks or exhausts the memory. It never runs on the
// machine's own kernel.
func Exclusive(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrExclusive, "")
	if !planning() {
		require.Spoilable(t, "it needs a kernel to itself")
	}
}

// Long declares that a scenario runs only in the long form (`make soak`): it is skipped with -short.
func Long(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrLong, "")
	if !planning() {
		LongPart(t)
	}
}

// Release declares that a scenario takes too long for `make soak`, too: it runs only in `make release-check`.
func Release(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrRelease, "")
	Long(t)
}

// HasLongForm declares that a scenario has a longer form (`make soak`), and reports whether to run that: true without
// -short.
func HasLongForm(t testing.TB) bool {
	t.Helper()
	t.Attr(suite.AttrLonger, "")
	return !testing.Short()
}

// LongPart skips a test or a subtest that belongs to the long form, with -short.
func LongPart(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("only in the long form: run it without -short")
	}
}

// Bench declares that a scenario is a benchmark: it prints figures, and runs only if it is asked for (`labrun test -bench`,
// the bench-… targets of the Makefile).
func Bench(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrBench, "")
}

// AnyKernel declares that a scenario also runs on the second kernel: `make soak` runs its daily form there.
func AnyKernel(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrAnyKernel, "")
}

// EndIfPlanning ends the scenario if `labrun test` is only planning. New calls it; a scenario that creates no Network must
// call it itself before it touches the kernel.
func EndIfPlanning(t T) {
	t.Helper()
	if !planning() {
		return
	}
	p, ok := t.(interface {
		Attr(key, value string)
		SkipNow()
	})
	if !ok {
		t.Fatalf("lab: only a test can be planned: unset %s", suite.PlanVariable)
	}
	p.Attr(suite.AttrPlanned, "")
	p.SkipNow()
}

// Scenarios tells `labrun test` that every test of the package is a scenario. TestMain calls it first.
//
//	func TestMain(m *testing.M) {
//		lab.Scenarios()
//		os.Exit(lab.Main(m))
//	}
func Scenarios() {
	if planning() {
		fmt.Println(suite.Mark)
	}
}

func planning() bool { return os.Getenv(suite.PlanVariable) != "" }

// kernelOf returns the kernel that has the part.
func kernelOf(p Part) string {
	switch p {
	case require.NFTables, require.SockDestroy, require.StockKernel:
		return suite.Debian
	}
	return suite.UML
}

// probe returns nil if the part is present on the running kernel and machine, otherwise the reason why not.
func probe(p Part) error {
	switch p {
	case require.IPVS:
		_, err := os.Stat("/proc/net/ip_vs")
		return err
	case require.FRR:
		return program("/usr/lib/frr/bfdd")
	case require.Keepalived:
		return program("keepalived")
	case require.MariaDB:
		return program("mariadbd")
	case require.Peers:
		return errors.Join(program("nginx"), program("redis-server"), program("dnsmasq"))
	case require.Systemd:
		return program("/lib/systemd/systemd")
	case require.Netem:
		return netem()
	case require.NFTables:
		// --check has the kernel validate the command without applying it.
		for _, family := range []string{"inet", "ip", "ip6", "arp"} {
			if err := tool("nft", "--check", "add", "table", family, "lab"); err != nil {
				return err
			}
		}
		return nil
	case require.SockDestroy:
		return destroySocket()
	case require.StockKernel:
		return stockKernel()
	}
	return fmt.Errorf("the lab does not know %q: give it a probe in e2e/lab/need.go", p)
}

func program(name string) error {
	_, err := exec.LookPath(name)
	return err
}

// tool runs a stock tool that exits at once.
func tool(argv ...string) error {
	ctx, cancel := withDeadline()
	defer cancel()
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func stockKernel() error {
	cpus, err := os.ReadFile("/proc/cpuinfo")
	if err == nil && strings.Contains(string(cpus), "User Mode Linux") {
		err = errors.New("this is user-mode-linux")
	}
	return err
}

// netem adds a netem qdisc in a temporary namespace.
func netem() error {
	ns, err := newNamespace("netem")
	if err != nil {
		return err
	}
	defer ns.close()
	_, err = execute(ns, "", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
	return err
}

// destroySocket opens a loopback connection and closes it with SOCK_DESTROY.
func destroySocket() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.DialTimeout("tcp4", l.Addr().String(), 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := netlink.SocketDestroy(c.LocalAddr(), c.RemoteAddr()); err != nil {
		return fmt.Errorf("SOCK_DESTROY of a connection: %w", err)
	}
	return nil
}
