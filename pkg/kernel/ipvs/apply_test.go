package ipvs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

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
		{"address that is not a host", lvs.Op{Kind: lvs.AddServer, Service: db, Server: server("224.0.0.1", config.DR, 1)}, ErrBadAddress, "ip link set lo up"},
		{"no scheduler, new", lvs.Op{Kind: lvs.AddService, Service: service(1, "nosuch")}, ErrNoScheduler, `no IPVS scheduler "nosuch": load the module ip_vs_nosuch`},
		{"no scheduler, update", lvs.Op{Kind: lvs.UpdateService, Service: service(3306, "nosuch")}, ErrNoScheduler, "update virtual server "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			done, err := table.Apply(within(t, 10*time.Second), []lvs.Op{tt.op})
			var refused *OpError
			if len(done) != 0 || !errors.Is(err, tt.want) || !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Apply = %v, %v; want %v", done, err, tt.want)
			}
		})
	}
	if diff := cmp.Diff(sortedLines("-A -t 10.77.0.100:3306 -s rr\n-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1"), stock(t)); diff != "" {
		t.Errorf("refused operations changed the table: %s", diff)
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

// A refused operation does not prevent the others, even within one send, and dependent operations are not reported as
// refused.
func TestRefusalAmongOthers(t *testing.T) {
	table := openTable(t)
	r := server("10.77.0.11", config.DR, 1)
	want := []lvs.Service{service(1, "rr", r), service(2, "nosuch", r, server("10.77.0.12", config.DR, 1)), service(3, "lc", r)}
	done, err := table.Apply(within(t, 10*time.Second), lvs.Diff(want, nil, nil))
	var refusals Refusals
	if len(done) != 4 || !errors.As(err, &refusals) || len(refusals) != 1 || !errors.Is(err, ErrNoScheduler) {
		t.Errorf("Apply = %v, %v", done, err)
	}
	if diff := diffTables([]lvs.Service{want[0], want[2]}, read(t, table)); diff != "" {
		t.Error(diff)
	}
}

// Only operations that changed the table are reported as done: neither the refused one nor those on a missing pool.
func TestStepsAfterARefusalAreReported(t *testing.T) {
	r := server("10.77.0.11", config.DR, 1)
	ops := lvs.Diff([]lvs.Service{service(1, "rr", r, server("10.77.0.12", config.DR, 1)), service(2, "nosuch", r)}, nil, nil)
	if len(ops) != 5 {
		t.Fatalf("%d steps: %v", len(ops), ops)
	}
	answers := make([]unix.Errno, len(ops))
	var want []lvs.Op
	for i, op := range ops {
		switch {
		case op.Service.Port == 1:
			want = append(want, op)
		case op.Kind == lvs.AddService:
			answers[i] = unix.ENOENT
		default:
			answers[i] = unix.ESRCH
		}
	}
	o := outcome{absent: map[lvs.Key]bool{}}
	if err := o.add(ops, answers); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(o.done) != fmt.Sprint(want) || len(o.refused) != 1 || !errors.Is(o.refused, ErrNoScheduler) {
		t.Errorf("done %v, want %v; refused: %v", o.done, want, o.refused)
	}
	if err := o.add(ops[:2], []unix.Errno{0, unix.EPERM}); !errors.Is(err, kernel.ErrNotPermitted) || len(o.done) != 4 {
		t.Errorf("%v, done %v", err, o.done)
	}
}

// The kernel refuses real servers if lo is down.
func TestLoDown(t *testing.T) {
	inNamespace(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil { // a new namespace, in which lo is down
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

// A thousand real servers are written correctly, and fast enough for every pass.
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
		if done, err := table.Apply(within(t, 2*time.Minute), ops); err != nil || len(done) != len(ops) {
			t.Fatalf("Apply = %d of %d, %v", len(done), len(ops), err)
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
