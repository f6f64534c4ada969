package ipvs

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inNamespace gives the test a new network namespace with lo up, or skips the test if there is no IPVS. The thread
// stays locked: it ends with the test's goroutine, and the namespace with it.
func inNamespace(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(tableFile); err != nil || os.Geteuid() != 0 {
		require.Skip(t, require.IPVS, "root is needed, and %s (%v): run it in a guest, with labrun", tableFile, err)
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
}

func openTable(t *testing.T) *Table {
	t.Helper()
	inNamespace(t)
	table, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The namespace is removed some time later, and until then its services disturb other Snapshots.
		ipvsadm(t, "-C")
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func all(lvs.Key) bool { return true }

func read(t *testing.T, table *Table) []lvs.Service {
	t.Helper()
	services, err := table.Read(within(t, 2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return services
}

// become changes the table to want and fails the test unless it then reads as want, from netlink and from /proc.
func become(t *testing.T, table *Table, want []lvs.Service) {
	t.Helper()
	ops := lvs.Diff(want, read(t, table), all)
	done, err := table.Apply(within(t, 2*time.Minute), ops)
	if err != nil || len(done) != len(ops) {
		t.Fatalf("Apply = %d of %d, %v", len(done), len(ops), err)
	}
	got := read(t, table)
	if left := lvs.Diff(want, got, all); len(left) != 0 {
		t.Fatalf("after Apply there is still to do: %v", left)
	}
	for i := range got {
		got[i].Servers = nil
	}
	if listed, err := table.ReadServices(within(t, 2*time.Minute)); err != nil || !lvs.Equal(listed, got) {
		t.Fatalf("ReadServices = %v, %v, want %v", listed, err, got)
	}
	seen, err := Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if left := lvs.Diff(lvs.Shown(want), seen, all); len(left) != 0 {
		t.Fatalf("Snapshot does not see what was applied: %v", left)
	}
}

// ipvsadm runs ipvsadm(8) in the test's namespace and returns its lines.
func ipvsadm(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := exec.CommandContext(within(t, 2*time.Minute), "ipvsadm", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("ipvsadm %v: %v\n%s", arguments, err, out)
	}
	return string(out)
}

// stock is `ipvsadm -Sn` in a fixed order.
func stock(t *testing.T) []string { return sortedLines(ipvsadm(t, "-Sn")) }

func sortedLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

var anyOrder = cmpopts.SortSlices(func(a, b string) bool { return a < b })

func service(port uint16, scheduler string, servers ...lvs.Server) lvs.Service {
	return lvs.Service{
		Key:       lvs.Key{Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: port},
		Scheduler: scheduler, Servers: servers,
	}
}

func server(address string, forward config.Forward, weight int) lvs.Server {
	return lvs.Server{Address: netip.MustParseAddr(address), Port: 3306, Forward: forward, Weight: weight}
}

func diffTables(want, have []lvs.Service) string {
	return cmp.Diff(lvs.Sorted(want), lvs.Sorted(have), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(&lvs.Traffic{}))
}
