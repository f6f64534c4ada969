package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

func TestProbe(t *testing.T) {
	inNamespace(t)
	info, err := Probe(within(t, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("IP Virtual Server version %s (size=%d)", info.Version, info.ConnTableSize); !strings.HasPrefix(ipvsadm(t, "-Ln"), want) {
		t.Errorf("Probe = %+v, but ipvsadm prints:\n%s", info, ipvsadm(t, "-Ln"))
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

// Every operation, verified with ipvsadm.
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
		if done, err := table.Apply(within(t, 5*time.Second), []lvs.Op{tt.op}); len(done) != 1 || err != nil {
			t.Fatalf("%s: %v, %v", tt.op, done, err)
		}
		if diff := cmp.Diff(sortedLines(tt.want), stock(t)); diff != "" {
			t.Fatalf("after %s: %s", tt.op, diff)
		}
	}
}

// The strings of the operations are command lines that ipvsadm accepts, with the same result.
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
		t.Errorf("operations to adopt the table written by ipvsadm: %v", ops)
	}
}

// The kernel's table is adopted: only the difference is written, and services of other processes are read completely.
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
		"tcp 10.77.0.100:3306": "//", "udp 10.77.0.100:53": "/", "tcp [fd00::100]:80": "/", "fwm 7": "/", "fwm 7 (IPv6)": "/",
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
	if drift := lvs.Diff(lvs.Shown(have), seen, all); len(drift) != 0 {
		t.Errorf("Snapshot against Read: %v", drift)
	}

	dns := have[slices.IndexFunc(have, func(s lvs.Service) bool { return s.Protocol == "udp" })]
	if dns.Flags != lvs.Flag2 || dns.Servers[0].Upper != 10 || dns.Servers[0].Lower != 5 {
		t.Errorf("flags and thresholds: %+v", dns)
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

	// Stray settings of our service are cleared; its scheduler, flags and persistence engine are overwritten.
	ipvsadm(t, strings.Fields("-A -t 10.77.0.100:3307 -s sh -b sh-port -p 9")...)
	ipvsadm(t, strings.Fields("-a -t 10.77.0.100:3307 -r 10.77.0.11:3306 -g -w 1 -x 10")...)
	become(t, table, []lvs.Service{service(3307, "sh", server("10.77.0.11", config.DR, 1))})
	if diff := cmp.Diff(sortedLines("-A -t 10.77.0.100:3307 -s sh\n-a -t 10.77.0.100:3307 -r 10.77.0.11:3306 -g -w 1"), stock(t)); diff != "" {
		t.Error(diff)
	}
}

// TestFlagsAndThresholds: what we write is what ipvsadm makes of its own arguments, for every scheduler of this kernel, and back.
func TestFlagsAndThresholds(t *testing.T) {
	table := openTable(t)
	for _, scheduler := range []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"} {
		for flags := range lvs.Flags(8) {
			if flags&lvs.Flag3 != 0 && (scheduler == "sh" || scheduler == "mh") { // ipvsadm prints a -b without an argument
				continue
			}
			s := service(3306, scheduler, server("10.77.0.11", config.DR, 3))
			s.Flags, s.Servers[0].Upper, s.Servers[0].Lower = flags, 400, 350
			become(t, table, []lvs.Service{s})
			if diff := diffTables([]lvs.Service{s}, read(t, table)); diff != "" {
				t.Errorf("read back: %s", diff)
			}
			line := "-A -t 10.77.0.100:3306 -s " + scheduler
			if names := flags.Names(scheduler); len(names) > 0 {
				line += " -b " + strings.Join(names, ",")
			}
			if got := stock(t); !slices.Contains(got, line) {
				t.Errorf("ipvsadm prints %q, want %q", got, line)
			}
		}
	}
	out := ipvsadm(t, "-Ln", "--thresholds")
	if fields := strings.Fields(out[strings.LastIndex(out, "10.77.0.11:3306"):]); !slices.Equal(fields[1:3], []string{"400", "350"}) {
		t.Errorf("ipvsadm shows the thresholds %q", fields)
	}
}

// Persistence reads back as written, in both families and with both ways of reading.
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

// The same port or mark is a different virtual server in each family: changing one does not affect the other.
func TestBothFamilies(t *testing.T) {
	table := openTable(t)
	four, six := service(3306, "wrr", server("10.77.0.11", config.DR, 3)), service(3306, "wrr", server("fd00::11", config.DR, 5))
	six.Address = netip.MustParseAddr("fd00::100")
	six.Persistence, six.Netmask = time.Minute, 96
	mark := func(family kernel.Family, scheduler, real string) lvs.Service {
		s := service(0, scheduler, server(real, config.NAT, 1))
		s.Key = lvs.Marked(family, 7)
		return s
	}
	mark4, mark6 := mark(kernel.IPv4, "rr", "10.77.0.11"), mark(kernel.IPv6, "lc", "fd00::11")
	want := []lvs.Service{four, six, mark4, mark6}
	become(t, table, want)
	if diff := diffTables(want, read(t, table)); diff != "" {
		t.Errorf("read back: %s", diff)
	}
	const first, second, third, fourth = `
		-A -t 10.77.0.100:3306 -s wrr
		-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3`, `
		-A -t [fd00::100]:3306 -s wrr -p 60 -M 96
		-a -t [fd00::100]:3306 -r [fd00::11]:3306 -g -w 5`, `
		-A -f 7 -s rr
		-a -f 7 -r 10.77.0.11:3306 -m -w 1`, `
		-A -f 7 -6 -s lc
		-a -f 7 -6 -r [fd00::11]:3306 -m -w 1`
	if diff := cmp.Diff(sortedLines(first+second+third+fourth), stock(t), anyOrder); diff != "" {
		t.Error(diff)
	}
	six.Servers[0].Weight = 0
	become(t, table, []lvs.Service{four, six, mark4})
	changed := first + strings.Replace(second, "-w 5", "-w 0", 1) + third
	if diff := cmp.Diff(sortedLines(changed), stock(t), anyOrder); diff != "" {
		t.Errorf("after a change in IPv6: %s", diff)
	}
	become(t, table, []lvs.Service{six})
	become(t, table, nil)
}

// A real server of the other family, which only a tunnel can have, is stored whole (moby/ipvs#22).
func TestMixedFamilies(t *testing.T) {
	table := openTable(t)
	become(t, table, []lvs.Service{service(3306, "rr", server("fd00::11", config.TUN, 1), server("10.77.0.11", config.TUN, 1))})
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
		t.Errorf("the query left entries in the table: %v", left)
	}
}

// The kernel changes generated tables as the model predicts.
func TestKernelIsAsTheModel(t *testing.T) {
	table := openTable(t)
	drawServer := rapid.Custom(func(r *rapid.T) lvs.Server {
		address := rapid.SampledFrom([]string{"10.77.0.", "fd00::"}).Draw(r, "network") + fmt.Sprint(rapid.IntRange(11, 14).Draw(r, "host"))
		forward := rapid.SampledFrom([]config.Forward{config.DR, config.NAT, config.TUN}).Draw(r, "forward")
		return server(address, forward, rapid.SampledFrom([]int{0, 1, 65535}).Draw(r, "weight"))
	})
	drawTable := rapid.SliceOfNDistinct(rapid.Custom(func(r *rapid.T) lvs.Service {
		s := service(uint16(rapid.IntRange(1, 4).Draw(r, "port")), rapid.SampledFrom([]string{"rr", "wrr", "lc", "wlc"}).Draw(r, "scheduler"),
			rapid.SliceOfNDistinct(drawServer, 0, 4, lvs.Server.AddrPort).Draw(r, "servers")...)
		if family := rapid.SampledFrom([]kernel.Family{kernel.IPv4, kernel.IPv6}).Draw(r, "family"); rapid.Bool().Draw(r, "marked") {
			s.Key = lvs.Marked(family, uint32(s.Port))
		} else if family == kernel.IPv6 {
			s.Address = netip.MustParseAddr("fd00::100")
		}
		for i, real := range s.Servers { // only a tunnel can have a real server of the other family (ip_vs_edit_dest, ip_vs_new_dest)
			if kernel.FamilyOf(real.Address) != s.Family() {
				s.Servers[i].Forward = config.TUN
			}
		}
		s.Persistence = time.Duration(rapid.IntRange(0, 100).Draw(r, "persistence")) * time.Second
		if s.Persistence > 0 {
			s.Netmask = rapid.IntRange(1, s.Address.BitLen()).Draw(r, "netmask")
		}
		return s
	}), 0, 6, func(s lvs.Service) lvs.Key { return s.Key })
	rapid.Check(t, func(r *rapid.T) {
		have, err := table.Read(context.Background())
		if err != nil {
			r.Fatal(err)
		}
		want := drawTable.Draw(r, "want")
		ops := lvs.Diff(want, have, all)
		if done, err := table.Apply(context.Background(), ops); err != nil || len(done) != len(ops) {
			r.Fatalf("Apply = %d of %d, %v", len(done), len(ops), err)
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
