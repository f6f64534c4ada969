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

// A Part is something that a scenario needs beside the network namespaces that all have.
type Part = require.Part

// The parts that scenarios need. Those of the second group are in the second kernel only, and a scenario that needs one
// runs there.
const (
	IPVS       = require.IPVS
	Keepalived = require.Keepalived
	MariaDB    = require.MariaDB
	Systemd    = require.Systemd
	Netem      = require.Netem

	NFTables    = require.NFTables
	SockDestroy = require.SockDestroy
	StockKernel = require.StockKernel // for its own sake: several CPUs, HZ=250, no user-mode-linux
)

// Need says which parts a scenario needs; none is right for one that needs network namespaces only. Where a part is
// missing the scenario is skipped, or fails if LVS_REQUIRE wants the part (package require); a guest requires all.
//
// Need, Exclusive, Long, Longer and AnyKernel are the first lines of a scenario, before New and whatever else touches the kernel:
// `labrun test` has them run on the machine, to plan.
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

// Exclusive says that a scenario gets a guest that nothing ran in before, and nothing runs in afterwards: because it takes
// modules away, freezes disks or exhausts the memory. It never runs on a machine's own kernel.
func Exclusive(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrExclusive, "")
	if !planning() {
		require.Spoilable(t, "it gets a kernel of its own")
	}
}

// Long says that a scenario belongs to the long form only (`make soak`): with -short it is skipped.
func Long(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrLong, "")
	if !planning() {
		LongPart(t)
	}
}

// Longer says that a scenario has a longer form (`make soak`) and reports whether that is wanted, which is without -short.
func Longer(t testing.TB) bool {
	t.Helper()
	t.Attr(suite.AttrLonger, "")
	return !testing.Short()
}

// LongPart ends a test or a subtest that belongs to the longer form of its scenario, unless that form is wanted.
func LongPart(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("in the long form only: run it without -short")
	}
}

// AnyKernel says that a scenario is run on the second kernel, too: `make soak` runs its daily form there.
func AnyKernel(t testing.TB) {
	t.Helper()
	t.Attr(suite.AttrAnyKernel, "")
}

// Planned ends a scenario here that is only planned. New calls it; a scenario that makes no Network calls it itself, before
// it touches the kernel.
func Planned(t T) {
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

// Scenarios says to `labrun test` that every test of the package is a scenario. TestMain calls it first.
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

// kernelOf is the kernel that has a part.
func kernelOf(p Part) string {
	switch p {
	case require.NFTables, require.SockDestroy, require.StockKernel:
		return suite.Debian
	}
	return suite.UML
}

// probe looks for a part where this process runs, and returns why it is not there.
func probe(p Part) error {
	switch p {
	case require.IPVS:
		_, err := os.Stat("/proc/net/ip_vs")
		return err
	case require.Keepalived:
		return program("keepalived")
	case require.MariaDB:
		return program("mariadbd")
	case require.Systemd:
		return program("/lib/systemd/systemd")
	case require.Netem:
		return netem()
	case require.NFTables:
		// Checked by the kernel, and not done.
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

// tool runs a stock tool that ends at once.
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

// netem delays nothing, in a namespace that goes with it.
func netem() error {
	ns, err := newNamespace("netem")
	if err != nil {
		return err
	}
	defer ns.close()
	_, err = execute(ns, "", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
	return err
}

// destroySocket has the kernel end a connection of its own.
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
