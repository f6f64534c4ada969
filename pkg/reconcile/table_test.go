package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// fakeTable is a kernel's table; reads and writes are counted.
type fakeTable struct {
	services      []lvs.Service
	reads, ops    int
	failNext      error
	failEverSince bool
}

func (f *fakeTable) Read(context.Context) ([]lvs.Service, error) {
	f.reads++
	return f.services, nil
}

func (f *fakeTable) Apply(_ context.Context, ops []lvs.Op) (int, error) {
	if f.failNext != nil {
		err := f.failNext
		if !f.failEverSince {
			f.failNext = nil
		}
		return 0, err
	}
	f.ops += len(ops)
	f.services = lvs.Apply(f.services, ops)
	return len(ops), nil
}

func service(address string, servers ...string) lvs.Service {
	s := lvs.Service{
		Key:       lvs.Key{Protocol: "tcp", Address: netip.MustParseAddr(address), Port: 3306},
		Scheduler: "wrr", Netmask: 32,
	}
	for _, server := range servers {
		s.Servers = append(s.Servers, lvs.Server{Address: netip.MustParseAddr(server), Port: 3306, Forward: config.DR, Weight: 1})
	}
	return s
}

var errFatal = errors.New("no such scheduler")

type tableWorld struct {
	*Table
	kernel *fakeTable
	want   []lvs.Service
	found  []lvs.Service
	err    error
	stop   func()
}

func startTable(t *testing.T, kernel *fakeTable, want ...lvs.Service) *tableWorld {
	w := &tableWorld{kernel: kernel, want: want}
	w.Table = NewTable(TableOptions{
		Kernel:  kernel,
		Audit:   func() ([]lvs.Service, error) { return kernel.services, nil },
		Desired: func(found []lvs.Service) []lvs.Service { w.found = found; return w.want },
		Ours:    func(k lvs.Key) bool { return k.Address.String() != "192.0.2.1" },
		Record:  func([]lvs.Service) error { return nil },
		Fatal:   func(err error) bool { return errors.Is(err, errFatal) },
		Log:     slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.err = w.Run(ctx) }()
	w.stop = func() { cancel(); <-done }
	return w
}

func same(t *testing.T, what string, got, want []lvs.Service) {
	t.Helper()
	if diff := cmp.Diff(lvs.Sorted(want), lvs.Sorted(got), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestTableIsAdoptedAndOnlyTheDifferenceIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := service("192.0.2.1", "192.0.2.2")
		kernel := &fakeTable{services: []lvs.Service{service("10.77.0.100", "10.77.0.11", "10.77.0.13"), foreign}}
		w := startTable(t, kernel, service("10.77.0.100", "10.77.0.11", "10.77.0.12"))
		synctest.Wait()
		same(t, "table", kernel.services, []lvs.Service{service("10.77.0.100", "10.77.0.11", "10.77.0.12"), foreign})
		if kernel.ops != 2 {
			t.Errorf("%d writes, want 2: one server added, one removed", kernel.ops)
		}
		if len(w.found) != 2 {
			t.Errorf("Desired was told of %d services found, want 2", len(w.found))
		}
		select {
		case <-w.Synced():
		default:
			t.Error("not synced")
		}
		w.stop()
	})
}

func TestTableIsHealedAfterForeignHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{}
		want := service("10.77.0.100", "10.77.0.11")
		w := startTable(t, kernel, want)
		synctest.Wait()
		kernel.services = nil // ipvsadm -C
		time.Sleep(1100 * time.Millisecond)
		same(t, "table after a flush by hand", kernel.services, []lvs.Service{want})
		reads := kernel.reads
		time.Sleep(time.Minute)
		if kernel.reads != reads {
			t.Errorf("%d full reads in a minute of peace, want none: the audit is cheap", kernel.reads-reads)
		}
		w.stop()
	})
}

func TestTableFollowsVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{}
		w := startTable(t, kernel, service("10.77.0.100"))
		synctest.Wait()
		w.want = []lvs.Service{service("10.77.0.100", "10.77.0.11")}
		w.Poke()
		time.Sleep(settle)
		synctest.Wait()
		same(t, "table", kernel.services, w.want)
		w.stop()
	})
}

func TestTableRetriesWithBackoffAndFailsOnlyAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{failNext: errors.New("out of memory")}
		w := startTable(t, kernel, service("10.77.0.100"))
		time.Sleep(time.Second)
		same(t, "table after a retry", kernel.services, w.want)
		kernel.failNext, kernel.failEverSince = errFatal, true
		w.want = []lvs.Service{service("10.77.0.100", "10.77.0.11")}
		w.Poke()
		time.Sleep(time.Minute)
		if w.err != nil {
			t.Errorf("the loop ended with %v; once the table stood, no error ends it", w.err)
		}
		if kernel.reads > 25 {
			t.Errorf("%d reads in a minute of failure: no backoff", kernel.reads)
		}
		w.stop()
	})
}

func TestTableWithoutSchedulerFailsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startTable(t, &fakeTable{failNext: errFatal, failEverSince: true}, service("10.77.0.100"))
		synctest.Wait()
		if !errors.Is(w.err, errFatal) {
			t.Errorf("Run returned %v, want %v", w.err, errFatal)
		}
		w.stop()
	})
}

func TestWithdrawLeavesForeignServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := service("192.0.2.1", "192.0.2.2")
		kernel := &fakeTable{services: []lvs.Service{foreign}}
		w := startTable(t, kernel, service("10.77.0.100", "10.77.0.11"))
		synctest.Wait()
		w.stop()
		if err := w.Withdraw(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "table", kernel.services, []lvs.Service{foreign})
	})
}
