package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

func TestProbe(t *testing.T) {
	inNamespace(t)
	info, err := Probe(within(t, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("IP Virtual Server version %s (size=%d)", info.Version, info.ConnTableSize); !strings.HasPrefix(ipvsadm(t, "-Ln"), want) {
		t.Errorf("Probe = %+v, ipvsadm says otherwise:\n%s", info, ipvsadm(t, "-Ln"))
	}
}

func TestAbsent(t *testing.T) {
	if _, err := os.Stat(tableFile); err == nil {
		t.Skip("this kernel has IPVS")
	}
	if _, err := Probe(within(t, 5*time.Second)); !errors.Is(err, ErrNoIPVS) {
		t.Errorf("Probe: %v", err)
	}
	if _, err := Open(); !errors.Is(err, ErrNoIPVS) {
		t.Errorf("Open: %v", err)
	}
	if _, err := Snapshot(); !errors.Is(err, ErrNoIPVS) {
		t.Errorf("Snapshot: %v", err)
	}
}

// Every step, judged by the stock tool.
func TestEveryStep(t *testing.T) {
	table := openTable(t)
	db := service(3306, "wrr")
	for _, tt := range []struct {
		op   lvs.Op
		want string
	}{
		{lvs.Op{Kind: lvs.AddService, Service: db}, "-A -t 10.77.0.100:3306 -s wrr"},
		{lvs.Op{Kind: lvs.AddServer, Service: db, Server: server("10.77.0.11", config.DR, 3)}, `
			-A -t 10.77.0.100:3306 -s wrr
			-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3`},
		{lvs.Op{Kind: lvs.UpdateServer, Service: db, Server: server("10.77.0.11", config.DR, 65535)}, `
			-A -t 10.77.0.100:3306 -s wrr
			-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 65535`},
		{lvs.Op{Kind: lvs.UpdateServer, Service: db, Server: server("10.77.0.11", config.NAT, 0)}, `
			-A -t 10.77.0.100:3306 -s wrr
			-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -m -w 0`},
		{lvs.Op{Kind: lvs.UpdateServer, Service: db, Server: server("10.77.0.11", config.TUN, 1)}, `
			-A -t 10.77.0.100:3306 -s wrr
			-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -i -w 1 --tun-type ipip`},
		{lvs.Op{Kind: lvs.UpdateService, Service: service(3306, "lc")}, `
			-A -t 10.77.0.100:3306 -s lc
			-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -i -w 1 --tun-type ipip`},
		{lvs.Op{Kind: lvs.DeleteServer, Service: db, Server: server("10.77.0.11", config.DR, 0)}, "-A -t 10.77.0.100:3306 -s lc"},
		{lvs.Op{Kind: lvs.DeleteService, Service: db}, ""},
	} {
		if done, err := table.Apply(within(t, 5*time.Second), []lvs.Op{tt.op}); done != 1 || err != nil {
			t.Fatalf("%s: %d, %v", tt.op, done, err)
		}
		if diff := cmp.Diff(sortedLines(tt.want), stock(t)); diff != "" {
			t.Fatalf("after %s: %s", tt.op, diff)
		}
	}
}

// The strings of the steps are command lines that the stock tool takes, with the same result.
func TestStepsAsCommands(t *testing.T) {
	table := openTable(t)
	persistent := service(3307, "lc", server("10.77.0.12", config.NAT, 1))
	persistent.Persistence, persistent.Netmask = 50*time.Second, 24
	want := []lvs.Service{service(3306, "wrr", server("10.77.0.11", config.DR, 3), server("10.77.0.12", config.TUN, 0)), persistent}
	for _, op := range lvs.Diff(want, nil, nil) {
		ipvsadm(t, strings.Fields(op.String())[1:]...)
	}
	if diff := diffTables(want, read(t, table)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(sortedLines(lvs.Rules(want)), stock(t), anyOrder); diff != "" {
		t.Error(diff)
	}
	if ops := lvs.Diff(want, read(t, table), all); len(ops) != 0 {
		t.Errorf("adoption of what ipvsadm wrote: %v", ops)
	}
}

// What is in the kernel is adopted: only the difference is written, and what others made is read whole.
func TestAdoption(t *testing.T) {
	table := openTable(t)
	for _, line := range []string{
		"-A -t 10.77.0.100:3306 -s wrr -p 50", "-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3",
		"-a -t 10.77.0.100:3306 -r 10.77.0.99:3306 -g -w 1",
		"-A -u 10.77.0.100:53 -s sh -b sh-port", "-a -u 10.77.0.100:53 -r 10.77.0.53:5353 -m -w 2 -x 10 -y 5",
		"-A -t [fd00::100]:80 -s rr -p 60 -M 64", "-a -t [fd00::100]:80 -r [fd00::11]:80 -g -w 1",
		"-A -f 7 -s rr", "-a -f 7 -r 10.77.0.12 -g -w 1", "-A -f 7 -6 -s rr", "-a -f 7 -6 -r [fd00::12]:0 -g -w 1",
	} {
		ipvsadm(t, strings.Fields(line)...)
	}
	before := stock(t)
	have := read(t, table)
	strays := map[string]string{}
	for _, s := range have {
		strays[s.Key.String()] = s.Stray
		for _, r := range s.Servers {
			strays[s.Key.String()] += "/" + r.Stray
		}
	}
	want := map[string]string{
		"tcp 10.77.0.100:3306": "//", "udp 10.77.0.100:53": "flags 0x10/thresholds 10 and 5", "tcp [fd00::100]:80": "/", "fwm 7": "/",
	}
	if diff := cmp.Diff(want, strays); diff != "" {
		t.Error(diff)
	}
	if len(have) != 5 {
		t.Errorf("read %d services of 5: %v", len(have), have)
	}
	seen, err := Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if drift := lvs.Diff(have, seen, all); len(drift) != 0 {
		t.Errorf("Snapshot against Read: %v", drift)
	}

	ours := service(3306, "wrr", server("10.77.0.11", config.DR, 3))
	ours.Persistence, ours.Netmask = 50*time.Second, 32
	ops := lvs.Diff([]lvs.Service{ours}, have, nil)
	if len(ops) != 1 || ops[0].String() != "ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.99:3306" {
		t.Fatalf("steps: %v", ops)
	}
	if _, err := table.Apply(within(t, 5*time.Second), ops); err != nil {
		t.Fatal(err)
	}
	if after := stock(t); len(after) != len(before)-1 {
		t.Errorf("foreign services changed: %s", cmp.Diff(before, after))
	}

	// A service of ours loses what is stray, and a scheduler, a flag, an engine are written over.
	ipvsadm(t, strings.Fields("-A -t 10.77.0.100:3307 -s sh -b sh-port -p 9")...)
	ipvsadm(t, strings.Fields("-a -t 10.77.0.100:3307 -r 10.77.0.11:3306 -g -w 1 -x 10")...)
	become(t, table, []lvs.Service{service(3307, "sh", server("10.77.0.11", config.DR, 1))})
	if diff := cmp.Diff(sortedLines("-A -t 10.77.0.100:3307 -s sh\n-a -t 10.77.0.100:3307 -r 10.77.0.11:3306 -g -w 1"), stock(t)); diff != "" {
		t.Error(diff)
	}
}

// Persistence reads back as it was written, in both families and by every way to look.
func TestPersistence(t *testing.T) {
	table := openTable(t)
	for _, tt := range []struct {
		timeout time.Duration
		netmask int
		want    string
	}{
		{50 * time.Second, 32, "-A -t 10.77.0.100:3306 -s rr -p 50"},
		{50 * time.Second, 24, "-A -t 10.77.0.100:3306 -s rr -p 50 -M 255.255.255.0"},
		{50 * time.Second, 1, "-A -t 10.77.0.100:3306 -s rr -p 50 -M 128.0.0.0"},
		{24 * time.Hour, 0, "-A -t 10.77.0.100:3306 -s rr -p 86400"},
		{0, 24, "-A -t 10.77.0.100:3306 -s rr"},
	} {
		s := service(3306, "rr")
		s.Persistence, s.Netmask = tt.timeout, tt.netmask
		become(t, table, []lvs.Service{s})
		if diff := cmp.Diff([]string{tt.want}, stock(t)); diff != "" {
			t.Errorf("%v /%d: %s", tt.timeout, tt.netmask, diff)
		}
	}
	six := lvs.Service{
		Key:       lvs.Key{Protocol: "tcp", Address: netip.MustParseAddr("fd00::100"), Port: 80},
		Scheduler: "rr", Persistence: time.Minute, Netmask: 64,
		Servers: []lvs.Server{{Address: netip.MustParseAddr("fd00::11"), Port: 80, Forward: config.DR, Weight: 1}},
	}
	become(t, table, []lvs.Service{six})
	six.Persistence = 0
	become(t, table, []lvs.Service{six})
}

// A real server of the other family, which only a tunnel can have, is stored whole (moby/ipvs#22).
func TestMixedFamilies(t *testing.T) {
	table := openTable(t)
	become(t, table, []lvs.Service{service(3306, "rr", server("fd00::11", config.TUN, 1), server("10.77.0.11", config.TUN, 1))})
}

func TestRefusals(t *testing.T) {
	table := openTable(t)
	db := service(3306, "rr")
	become(t, table, []lvs.Service{service(3306, "rr", server("10.77.0.11", config.DR, 1))})
	for _, tt := range []struct {
		name string
		op   lvs.Op
		want error
		text string
	}{
		{"service twice", lvs.Op{Kind: lvs.AddService, Service: db}, ErrExists, "add virtual server tcp 10.77.0.100:3306: "},
		{
			"server twice",
			lvs.Op{Kind: lvs.AddServer, Service: db, Server: server("10.77.0.11", config.DR, 1)},
			ErrExists,
			"add real server 10.77.0.11:3306 to virtual server tcp 10.77.0.100:3306: ",
		},
		{"update of no service", lvs.Op{Kind: lvs.UpdateService, Service: service(1, "rr")}, ErrNoService, "update virtual server tcp 10.77.0.100:1: "},
		{"delete of no service", lvs.Op{Kind: lvs.DeleteService, Service: service(1, "rr")}, ErrNoService, "delete virtual server "},
		{"server of no service", lvs.Op{Kind: lvs.AddServer, Service: service(1, "rr"), Server: server("10.77.0.11", config.DR, 1)}, ErrNoService, "add real server "},
		{"update of no server", lvs.Op{Kind: lvs.UpdateServer, Service: db, Server: server("10.77.0.12", config.DR, 1)}, ErrNoServer, "update real server "},
		{"delete of no server", lvs.Op{Kind: lvs.DeleteServer, Service: db, Server: server("10.77.0.12", config.DR, 1)}, ErrNoServer, "delete real server "},
		{"address that is no host", lvs.Op{Kind: lvs.AddServer, Service: db, Server: server("224.0.0.1", config.DR, 1)}, ErrBadAddress, "ip link set lo up"},
		{"no scheduler, new", lvs.Op{Kind: lvs.AddService, Service: service(1, "nosuch")}, ErrNoScheduler, `no IPVS scheduler "nosuch": load the module ip_vs_nosuch`},
		{"no scheduler, update", lvs.Op{Kind: lvs.UpdateService, Service: service(3306, "nosuch")}, ErrNoScheduler, "update virtual server "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			done, err := table.Apply(within(t, 10*time.Second), []lvs.Op{tt.op})
			var refused *OpError
			if done != 0 || !errors.Is(err, tt.want) || !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Apply = %d, %v; want %v", done, err, tt.want)
			}
		})
	}
	if diff := cmp.Diff(sortedLines("-A -t 10.77.0.100:3306 -s rr\n-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1"), stock(t)); diff != "" {
		t.Errorf("refused steps changed the table: %s", diff)
	}
	for name, op := range map[string]lvs.Op{
		"no virtual address": {Kind: lvs.AddService},
		"no real address":    {Kind: lvs.AddServer, Service: db},
		"no step":            {Service: db},
	} {
		if _, err := table.Apply(within(t, 5*time.Second), []lvs.Op{op}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A refused step keeps nothing else back, also within one send, and its followers are not blamed.
func TestRefusalAmongOthers(t *testing.T) {
	table := openTable(t)
	r := server("10.77.0.11", config.DR, 1)
	want := []lvs.Service{service(1, "rr", r), service(2, "nosuch", r, server("10.77.0.12", config.DR, 1)), service(3, "lc", r)}
	done, err := table.Apply(within(t, 10*time.Second), lvs.Diff(want, nil, nil))
	var refusals Refusals
	if done != 2 || !errors.As(err, &refusals) || len(refusals) != 1 || !errors.Is(err, ErrNoScheduler) {
		t.Errorf("Apply = %d, %v", done, err)
	}
	if diff := diffTables([]lvs.Service{want[0], want[2]}, read(t, table)); diff != "" {
		t.Error(diff)
	}
}

// Without lo the kernel takes no real server.
func TestLoDown(t *testing.T) {
	inNamespace(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil { // another one, in which lo is down
		t.Fatal(err)
	}
	table, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	_, err = table.Apply(within(t, 5*time.Second), lvs.Diff([]lvs.Service{service(1, "rr", server("10.77.0.11", config.DR, 1))}, nil, nil))
	if !errors.Is(err, ErrBadAddress) {
		t.Errorf("Apply: %v", err)
	}
	ipvsadm(t, "-C")
}

func TestScheduler(t *testing.T) {
	table := openTable(t)
	for _, name := range []string{"rr", "wrr", "lc", "wlc"} {
		if err := table.Scheduler(within(t, 10*time.Second), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := table.Scheduler(within(t, 10*time.Second), "nosuch")
	if !errors.Is(err, ErrNoScheduler) || !strings.Contains(err.Error(), "modprobe ip_vs_nosuch") {
		t.Errorf("nosuch: %v", err)
	}
	if left := stock(t); len(left) != 0 {
		t.Errorf("asking left something in the table: %v", left)
	}
}

func TestNotPermitted(t *testing.T) {
	inNamespace(t)
	dropCapabilities(t)
	if _, err := Probe(within(t, 5*time.Second)); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("Probe: %v", err)
	}
	table, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if _, err := table.Read(within(t, 5*time.Second)); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("Read: %v", err)
	}
	if err := table.Scheduler(within(t, 5*time.Second), "rr"); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("Scheduler: %v", err)
	}
	if done, err := table.Apply(within(t, 5*time.Second), lvs.Diff([]lvs.Service{service(1, "rr")}, nil, nil)); done != 0 || !errors.Is(err, ErrNotPermitted) {
		t.Errorf("Apply: %d, %v", done, err)
	}
}

// dropCapabilities takes the effective capabilities from every thread, because any may be the one that sends, and gives
// them back at the end.
func dropCapabilities(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		t.Fatal(err)
	}
	set := func(to [2]unix.CapUserData) {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&to)), 0)
		if errno == unix.ENOTSUP {
			t.Skip("built with cgo: CGO_ENABLED=0 go test")
		}
		if errno != 0 {
			t.Fatal(errno)
		}
	}
	none := had
	none[0].Effective, none[1].Effective = 0, 0
	set(none)
	t.Cleanup(func() { set(had) })
}

// The kernel does with drawn tables what the model says.
func TestKernelIsAsTheModel(t *testing.T) {
	table := openTable(t)
	drawServer := rapid.Custom(func(r *rapid.T) lvs.Server {
		address := fmt.Sprintf("10.77.0.%d", rapid.IntRange(11, 14).Draw(r, "host"))
		forward := rapid.SampledFrom([]config.Forward{config.DR, config.NAT, config.TUN}).Draw(r, "forward")
		return server(address, forward, rapid.SampledFrom([]int{0, 1, 65535}).Draw(r, "weight"))
	})
	drawTable := rapid.SliceOfNDistinct(rapid.Custom(func(r *rapid.T) lvs.Service {
		s := service(uint16(rapid.IntRange(1, 4).Draw(r, "port")), rapid.SampledFrom([]string{"rr", "wrr", "lc", "wlc"}).Draw(r, "scheduler"),
			rapid.SliceOfNDistinct(drawServer, 0, 4, lvs.Server.AddrPort).Draw(r, "servers")...)
		s.Persistence = time.Duration(rapid.IntRange(0, 100).Draw(r, "persistence")) * time.Second
		if s.Persistence > 0 {
			s.Netmask = rapid.IntRange(1, 32).Draw(r, "netmask")
		}
		return s
	}), 0, 4, func(s lvs.Service) lvs.Key { return s.Key })
	rapid.Check(t, func(r *rapid.T) {
		have, err := table.Read(context.Background())
		if err != nil {
			r.Fatal(err)
		}
		want := drawTable.Draw(r, "want")
		ops := lvs.Diff(want, have, all)
		if done, err := table.Apply(context.Background(), ops); err != nil || done != len(ops) {
			r.Fatalf("Apply = %d of %d, %v", done, len(ops), err)
		}
		got, err := table.Read(context.Background())
		if err != nil {
			r.Fatal(err)
		}
		if diff := diffTables(lvs.Apply(have, ops), got); diff != "" {
			r.Fatalf("the model against the kernel: %s", diff)
		}
		if left := lvs.Diff(want, got, all); len(left) != 0 {
			r.Fatalf("still to do: %v", left)
		}
	})
}

// Every conversation is in step with its answers after a deadline that passed.
func TestDeadline(t *testing.T) {
	table := openTable(t)
	become(t, table, []lvs.Service{service(3306, "rr", server("10.77.0.11", config.DR, 1))})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := table.Read(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v", err)
	}
	if _, err := table.Apply(ended, lvs.Diff(nil, read(t, table), all)); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v", err)
	}
	become(t, table, []lvs.Service{service(3307, "rr", server("10.77.0.12", config.DR, 1))})
}

// setModprobe changes what the kernel executes to load a module, until the test ends or undo is called.
func setModprobe(t *testing.T, path string) (undo func()) {
	t.Helper()
	const sysctl = "/proc/sys/kernel/modprobe"
	found, err := os.ReadFile(sysctl)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sysctl, []byte(path), 0o644); err != nil {
		t.Fatal(err)
	}
	undo = func() {
		if err := os.WriteFile(sysctl, found, 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(undo)
	return undo
}

// A modprobe of the kernel's that hangs inside a request is survived, and told.
func TestHangingModprobe(t *testing.T) {
	table := openTable(t)
	if os.Getenv("LVS_LAB_INSIDE") != "guest" {
		t.Skip("changes the machine's modprobe: only in a guest")
	}
	directory := t.TempDir()
	hold, script := filepath.Join(directory, "hold"), filepath.Join(directory, "modprobe")
	text := "#!/bin/sh\nwhile test -e " + hold + "; do sleep 0.05; done\nexit 1\n"
	for path, text := range map[string]string{script: text, hold: ""} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Remove(hold) })
	setModprobe(t, script)
	start := time.Now()
	if err := table.Scheduler(within(t, 200*time.Millisecond), "slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Scheduler: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a deadline of 200 ms took %v", took)
	}
	if _, err := table.Read(within(t, time.Second)); !errors.Is(err, ErrBusy) {
		t.Fatalf("Read while the kernel hangs: %v", err)
	}
	if _, err := Snapshot(); err != nil {
		t.Errorf("Snapshot while the kernel hangs: %v", err)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	become(t, table, []lvs.Service{service(3306, "rr", server("10.77.0.11", config.DR, 1))})
}

// A module that goes and comes under an open table is noticed, and not taken for a missing scheduler or real server.
func TestModuleGoes(t *testing.T) {
	table := openTable(t)
	if os.Getenv("LVS_LAB_INSIDE") != "guest" {
		t.Skip("unloads the machine's ip_vs: only in a guest")
	}
	unload := func() {
		t.Helper()
		for _, module := range []string{"ip_vs_sh", "ip_vs_wlc", "ip_vs_lc", "ip_vs_wrr", "ip_vs_rr", "ip_vs"} {
			out, err := exec.CommandContext(within(t, 10*time.Second), "modprobe", "-r", module).CombinedOutput()
			if err != nil {
				t.Fatalf("modprobe -r %s: %v %s", module, err, out)
			}
		}
	}
	unload()
	read(t, table) // the kernel loads it again
	unload()
	steps := lvs.Diff([]lvs.Service{service(3306, "rr")}, nil, nil)
	if _, err := table.Apply(within(t, 10*time.Second), steps); !errors.Is(err, errReloaded) {
		t.Errorf("Apply: %v", err)
	}
	become(t, table, []lvs.Service{service(3306, "rr")})
	become(t, table, nil)

	unload()
	undo := setModprobe(t, "/bin/false")
	if _, err := table.Apply(within(t, 10*time.Second), steps); !errors.Is(err, ErrNoIPVS) {
		t.Errorf("Apply without the module: %v", err)
	}
	if _, err := table.Read(within(t, 10*time.Second)); !errors.Is(err, ErrNoIPVS) {
		t.Errorf("Read without the module: %v", err)
	}
	undo()
	become(t, table, []lvs.Service{service(3306, "rr")})
}

// A thousand real servers: right, and as fast as to be done in every pass.
func TestThousand(t *testing.T) {
	table := openTable(t)
	for _, shape := range []struct{ services, servers int }{{1, 1000}, {100, 10}, {1000, 10}} {
		var want []lvs.Service
		for i := range shape.services {
			s := service(uint16(i+1), "wrr")
			for j := range shape.servers {
				s.Servers = append(s.Servers, server(fmt.Sprintf("10.78.%d.%d", j/250, j%250+1), config.DR, 1+j%3))
			}
			want = append(want, s)
		}
		start := time.Now()
		ops := lvs.Diff(want, nil, nil)
		diffed := time.Now()
		if done, err := table.Apply(within(t, 20*time.Second), ops); err != nil || done != len(ops) {
			t.Fatalf("Apply = %d of %d, %v", done, len(ops), err)
		}
		applied := time.Now()
		have := read(t, table)
		wasRead := time.Now()
		seen, err := Snapshot()
		snapped := time.Now()
		if err != nil {
			t.Fatal(err)
		}
		if left := lvs.Diff(want, have, all); len(left) != 0 {
			t.Fatalf("still %d to do, first %v", len(left), left[0])
		}
		if diff := diffTables(have, seen); diff != "" {
			t.Fatalf("Snapshot against Read: %.2000s", diff)
		}
		t.Logf("%d virtual servers x %d: Diff %v, Apply %v, Read %v, Snapshot %v", shape.services, shape.servers,
			diffed.Sub(start), applied.Sub(diffed), wasRead.Sub(applied), snapped.Sub(wasRead))
		become(t, table, nil)
	}
}
