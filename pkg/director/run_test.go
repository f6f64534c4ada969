package director_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/internal/dirtest"
	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/director"
	"github.com/lvs-director/lvs-director/pkg/host"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/statefile"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// inOwnNetwork runs the calling test in a child process with its own network namespace and returns true there; in the
// parent process it returns false after the child has ended. The goroutines of a director use all threads, so the whole
// process must be in the namespace.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	const mark = "LVS_TEST_OWN_NETWORK"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	require.Root(t)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func ip(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
	return string(out)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s\n%s", what, ip(t, "-o addr"))
		}
	}
}

// directing is a running director with a cluster file that the test changes.
type directing struct {
	*director.Director
	file     atomic.Pointer[string]
	stateDir string
	log      logtest.Buffer
	stop     func() error
}

func (d *directing) load() (*config.Config, error) {
	cfg, problems := config.Parse("cluster.yaml", []byte(*d.file.Load()))
	if cfg == nil {
		return nil, fmt.Errorf("%v", problems)
	}
	return cfg, nil
}

func (d *directing) reload(t *testing.T, file string) {
	t.Helper()
	d.file.Store(&file)
	if err := d.Reload(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

func (d *directing) isMaster(instances ...string) bool {
	n := 0
	for _, i := range d.Status().Instances {
		if slices.Contains(instances, i.Name) && i.State == "MASTER" {
			n++
		}
	}
	return n == len(instances)
}

func direct(t *testing.T, file string) *directing {
	t.Helper()
	return directIn(t, dirtest.InMemory(t), file)
}

// directIn is direct with a state directory.
func directIn(t *testing.T, stateDir, file string) *directing {
	t.Helper()
	d := &directing{stateDir: stateDir}
	d.file.Store(&file)
	cfg, err := d.load()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	d.Director = director.New(director.Options{
		Config: cfg, Load: d.load, Node: cfg.Directors[0], StateDir: d.stateDir, Version: "test", Kernel: host.Host{},
		Log: slog.New(slog.NewTextHandler(&d.log, nil)), Started: func() { close(started) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	d.stop = func() error { cancel(); return <-done }
	select {
	case <-started:
	case err := <-done:
		t.Fatalf("no start: %v", err)
	}
	return d
}

const electing = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
`

// router returns an instance for the cluster file.
func router(name, iface string, vrid int, vips ...string) string {
	return fmt.Sprintf("  - {name: %s, interface: %s, virtual_router_id: %d, advert_interval: 100ms, virtual_addresses: [%s]}\n",
		name, iface, vrid, strings.Join(vips, ", "))
}

func network(t *testing.T) {
	ip(t, "link set lo up")
	ip(t, "link add eth0 type veth peer name eth1")
	ip(t, "addr add 10.77.0.2/24 dev eth0")
	ip(t, "addr add 10.78.0.2/24 dev eth1")
	ip(t, "link set eth0 up")
	ip(t, "link set eth1 up")
}

func has(t *testing.T, iface, vip string) bool {
	return strings.Contains(ip(t, "-o addr show dev "+iface), " "+vip+"/32 ")
}

// faults returns the problems of a status, apart from adverts that a busy machine makes late.
func faults(s status.Director) []problem.Problem {
	return slices.DeleteFunc(s.ProblemDetails, func(p problem.Problem) bool { return p.Code == problem.AdvertsLate })
}

// descriptors counts the open descriptors once their number is stable.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestLifeOfAnElectingDirector(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	network(t)
	ip(t, "addr add 10.77.0.100/32 dev eth0 valid_lft 60 preferred_lft 60") // an earlier run was killed
	dir := dirtest.InMemory(t)
	l, err := statefile.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.RecordAddress(kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")}), l.Close()); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	d := directIn(t, dir, electing+router("a", "eth0", 51, "10.77.0.100", "10.77.0.101")+router("b", "eth0", 52, "10.77.0.102"))
	eventually(t, "MASTER with its VIPs", func() bool {
		return d.isMaster("a", "b") && has(t, "eth0", "10.77.0.100") && has(t, "eth0", "10.77.0.101") && has(t, "eth0", "10.77.0.102")
	})
	if s := d.Status(); len(faults(s)) != 0 || len(s.Interfaces) != 1 {
		t.Errorf("status: %+v", s)
	}
	if _, after, found := strings.Cut(d.log.String(), "removed a leftover VIP"); !found || !strings.Contains(after, "directing") {
		t.Errorf("the leftover VIP is not removed before the elections:\n%s", d.log.String())
	}

	ip(t, "addr del 10.77.0.100/32 dev eth0")
	eventually(t, "a VIP that another process deleted is back", func() bool { return has(t, "eth0", "10.77.0.100") })

	d.reload(t, electing+router("b", "eth0", 52, "10.77.0.102")+router("c", "eth1", 53, "10.78.0.100"))
	eventually(t, "another instance on another interface", func() bool {
		return d.isMaster("b", "c") && !has(t, "eth0", "10.77.0.100") && !has(t, "eth0", "10.77.0.101") && has(t, "eth1", "10.78.0.100")
	})
	if s := d.Status(); len(s.Instances) != 2 || len(s.Interfaces) != 2 {
		t.Errorf("status: %+v", s)
	}

	if err := d.stop(); err != nil {
		t.Error(err)
	}
	for _, vip := range []string{"10.77.0.100", "10.77.0.101", "10.77.0.102", "10.78.0.100"} {
		if has(t, "eth0", vip) || has(t, "eth1", vip) {
			t.Errorf("%s is left", vip)
		}
	}
	state, err := os.ReadFile(filepath.Join(d.stateDir, "state.json"))
	if err != nil || strings.Contains(string(state), "10.7") {
		t.Errorf("state file: %v\n%s", err, state)
	}
	if err := d.Reload(t.Context(), true); err == nil {
		t.Error("a director that has ended takes a reload")
	}
	// The descriptors of the runtime's poller stay open.
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before+2 })
}

// TestVIPMovesBetweenInstancesInOneReload: the VIP is never removed in between, whether the old instance stays or is
// removed.
func TestVIPMovesBetweenInstancesInOneReload(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	network(t)
	// Enough VIPs move at once that the address loop runs in the middle of the change.
	all, moved := "", []string{}
	for i := range 8 {
		vip := fmt.Sprintf("10.77.0.%d", 110+i)
		all += router(fmt.Sprintf("gone%d", i), "eth0", 60+i, vip)
		moved = append(moved, vip)
	}
	d := direct(t, electing+router("a", "eth0", 51, "10.77.0.100", "10.77.0.101")+router("b", "eth0", 52, "10.77.0.102")+all)
	eventually(t, "MASTER with its VIPs", func() bool {
		return d.isMaster("a", "b", "gone0", "gone7") && has(t, "eth0", "10.77.0.101") && has(t, "eth0", "10.77.0.102") && has(t, "eth0", "10.77.0.117")
	})

	var removed sync.Map
	ctx, cancel := context.WithCancel(t.Context())
	watching, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- addr.Watch(ctx, func(e addr.Event) {
			switch e.Kind {
			case addr.Resync:
				close(watching)
			case addr.AddressRemoved:
				removed.Store(e.Prefix.Addr(), true)
			}
		})
	}()
	<-watching
	d.reload(t, electing+router("a", "eth0", 51, "10.77.0.100")+router("b", "eth0", 52, "10.77.0.102", "10.77.0.101")+all)
	eventually(t, "b has the VIP", func() bool { return strings.Count(d.log.String(), "reloaded") == 1 && has(t, "eth0", "10.77.0.101") })
	moved = append(moved, "10.77.0.101", "10.77.0.100")
	d.reload(t, electing+router("b", "eth0", 52, append(moved, "10.77.0.102")...))
	eventually(t, "only b is left, and has all VIPs", func() bool { return len(d.Status().Instances) == 1 && has(t, "eth0", "10.77.0.100") })
	d.reload(t, electing+router("b", "eth0", 52, moved...)) // causes an event that arrives after all earlier ones
	eventually(t, "b has given up a VIP", func() bool { _, gone := removed.Load(netip.MustParseAddr("10.77.0.102")); return gone })
	for _, vip := range moved {
		if _, gone := removed.Load(netip.MustParseAddr(vip)); gone {
			t.Errorf("%s was removed on its way to another instance:\n%s", vip, d.log.String())
		}
	}
	if strings.Contains(d.log.String(), "another process") {
		t.Errorf("a reload is logged as a change by another process:\n%s", d.log.String())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}

// TestReloadKnowsTheInterfaces: a new interface that does not exist is refused, with its position in the file; an
// interface that is removed later is waited for.
func TestReloadKnowsTheInterfaces(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	network(t)
	one := router("a", "eth0", 51, "10.77.0.100")
	d := direct(t, electing+one+router("b", "eth1", 52, "10.78.0.100"))
	eventually(t, "MASTER with its VIPs", func() bool { return d.isMaster("a", "b") && has(t, "eth0", "10.77.0.100") })
	for _, file := range []string{
		electing + router("a", "ethO", 51, "10.77.0.100") + router("b", "eth1", 52, "10.78.0.100"),
		electing + router("c", "ethO", 53, "10.77.0.101") + one,
	} {
		d.file.Store(&file)
		err := d.Reload(t.Context(), true)
		if err == nil || !clusterfile.Refused(err) || !strings.HasPrefix(err.Error(), "cluster.yaml:4:26: vrrp_instances[0].interface: lvs-master has no interface ethO") {
			t.Errorf("%v, want the position of the interface and a reason", err)
		}
	}
	if s := d.Status(); len(s.Instances) != 2 || len(s.Interfaces) != 2 || !d.isMaster("a", "b") || strings.Contains(d.log.String(), "VIPs are removed") {
		t.Errorf("after the refusals: %+v\n%s", s, d.log.String())
	}

	ip(t, "link set eth1 down")
	ip(t, "link set eth1 name gone") // deleting it would delete the peer as well
	d.reload(t, electing+router("a", "eth0", 51, "10.77.0.100", "10.77.0.101")+router("b", "eth1", 52, "10.78.0.100"))
	if all := d.Status().Instances; len(all) != 2 || len(all[0].VirtualAddresses) != 2 {
		t.Errorf("a file with an interface that was removed since was refused: %+v", all)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}

// TestManyReloadsLeakNothing: interfaces, virtual routers and VIPs are added and removed, and some files are refused.
func TestManyReloadsLeakNothing(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	network(t)
	files := []string{
		electing + router("a", "eth0", 51, "10.77.0.100"),
		electing + router("a", "eth1", 51, "10.77.0.100"),
		electing + router("a", "eth0", 52, "10.77.0.100") + router("b", "eth1", 51, "10.77.0.101"),
		electing + router("a", "eth0", 51, "10.77.0.101") + router("b", "eth0", 52, "10.77.0.100"),
		electing + router("c", "eth1", 51, "10.77.0.103"),
	}
	refused := []string{
		strings.Replace(files[0], "lvs-master", "somebody", 1),
		electing + router("a", "nothere", 51, "10.77.0.100"),
	}
	d := direct(t, files[0])
	round := func() {
		for _, file := range files {
			d.reload(t, file)
			for _, file := range refused {
				d.file.Store(&file)
				if err := d.Reload(t.Context(), true); err == nil {
					t.Fatal("a file without this host, or with an unknown interface, was accepted")
				}
			}
		}
	}
	// The ARP socket stays open on each interface that has ever held a VIP.
	round()
	for file, instance := range map[string]string{files[0]: "a", files[1]: "a"} {
		d.reload(t, file)
		eventually(t, "MASTER on each of the interfaces", func() bool { return d.isMaster(instance) })
	}
	d.reload(t, files[4])
	eventually(t, "MASTER on the interface of the last file", func() bool { return d.isMaster("c") && has(t, "eth1", "10.77.0.103") })
	goroutines, open := runtime.NumGoroutine(), descriptors(t)
	for range 10 {
		round()
	}
	eventually(t, "no more goroutines and descriptors than before", func() bool {
		return runtime.NumGoroutine() <= goroutines && descriptors(t) <= open
	})
	d.reload(t, files[0])
	eventually(t, "MASTER with its VIP, and nothing else", func() bool {
		return d.isMaster("a") && has(t, "eth0", "10.77.0.100") && !has(t, "eth0", "10.77.0.101") && !has(t, "eth1", "10.77.0.100")
	})
	if s := d.Status(); len(faults(s)) != 0 || len(s.Interfaces) != 1 || s.Instances[0].AdvertsSent == 0 {
		t.Errorf("status: %+v", s)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}
