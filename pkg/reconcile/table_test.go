package reconcile

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// fakeTable is a kernel's table; reads and writes are counted.
type fakeTable struct {
	mu            sync.Mutex
	services      []lvs.Service
	reads, ops    int
	failNext      error
	failEverSince bool
}

func (f *fakeTable) Read(context.Context) ([]lvs.Service, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.services, nil
}

func (f *fakeTable) ReadServices(context.Context) ([]lvs.Service, error) {
	services := slices.Clone(f.table())
	for i := range services {
		services[i].Servers = nil
	}
	return services, nil
}

func (f *fakeTable) Apply(_ context.Context, ops []lvs.Op) ([]lvs.Op, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failNext != nil {
		err := f.failNext
		if !f.failEverSince {
			f.failNext = nil
		}
		return nil, err
	}
	f.ops += len(ops)
	f.services = lvs.Apply(f.services, ops)
	return ops, nil
}

func (f *fakeTable) table() []lvs.Service {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.services
}

// look is the cheap read: like /proc, it does not show Stray, and takes an empty service by firewall mark for IPv4.
func (f *fakeTable) look() []lvs.Service {
	seen := lvs.Sorted(lvs.Shown(f.table()))
	for i := range seen {
		seen[i].Stray = ""
		if seen[i].Protocol == lvs.FirewallMark && len(seen[i].Servers) == 0 {
			seen[i].Key = lvs.Marked(kernel.IPv4, seen[i].Mark)
		}
		for j := range seen[i].Servers {
			seen[i].Servers[j].Stray = ""
		}
	}
	return seen
}

// put replaces the table as another process would.
func (f *fakeTable) put(services ...lvs.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services = services
}

func (f *fakeTable) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failNext, f.failEverSince = err, true
}

func (f *fakeTable) count() (reads, ops int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads, f.ops
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
	loops heartbeat.Set
	*Table
	kernel *fakeTable
	done   chan struct{}
	stop   func()
	err    error // valid once done is closed

	mu        sync.Mutex
	want      []lvs.Service
	found     []lvs.Service // the last argument of Desired
	forgotten []lvs.Key
	records   map[lvs.Key]bool // nil: not kept; everything except 192.0.2.1 is ours
	recorded  int              // how often Record was called

	audits atomic.Int64
}

// Desired makes the test the loop's Target.
func (w *tableWorld) Desired(found []lvs.Service) []lvs.Service {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = found
	return w.want
}

// Problem is the problem that the loop has published.
func (w *tableWorld) Problem() string {
	s, _ := w.Snapshot()
	return s.Problem
}

func startTable(t *testing.T, kernel *fakeTable, want ...lvs.Service) *tableWorld {
	return newTableWorld(t, kernel, kernel, slog.New(slog.DiscardHandler), want...)
}

// newTableWorld starts a loop on the kernel asked, whose table is that of the fake kernel.
func newTableWorld(t *testing.T, asked TableKernel, kernel *fakeTable, log *slog.Logger, want ...lvs.Service) *tableWorld {
	w := tableWorldOf(asked, kernel, log, want...)
	w.begin(t)
	return w
}

func tableWorldOf(asked TableKernel, kernel *fakeTable, log *slog.Logger, want ...lvs.Service) *tableWorld {
	w := &tableWorld{kernel: kernel, want: want, done: make(chan struct{})}
	w.Table = NewTable(TableOptions{
		Kernel: asked,
		Audit: func() ([]lvs.Service, error) {
			w.audits.Add(1)
			return kernel.look(), nil
		},
		Fingerprint: func() (uint64, error) {
			hash := fnv.New64()
			fmt.Fprint(hash, lvs.Rules(kernel.look()))
			return hash.Sum64(), nil
		},
		Ours: func(k lvs.Key) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.records != nil {
				return w.records[k]
			}
			return k.Address.String() != "192.0.2.1"
		},
		Recorded: func() []lvs.Key {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Collect(maps.Keys(w.records))
		},
		Record: func(want []lvs.Service) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.recorded++
			for _, s := range want {
				if w.records != nil {
					w.records[s.Key] = true
				}
			}
		},
		Forget: func(gone []lvs.Key) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.forgotten = append(w.forgotten, gone...)
			for _, k := range gone {
				delete(w.records, k)
			}
		},
		Fatal: func(err error) bool { return errors.Is(err, errFatal) },
		Log:   log,
	})
	w.Set(w)
	return w
}

func (w *tableWorld) begin(t *testing.T) {
	ctx, cancel := context.WithCancel(heartbeat.With(t.Context(), w.loops.Start("the table loop")))
	go func() { defer close(w.done); w.err = w.Run(ctx) }()
	w.stop = func() { cancel(); <-w.done }
}

// wants changes the result of Desired and wakes the loop.
func (w *tableWorld) wants(services ...lvs.Service) {
	w.mu.Lock()
	w.want = services
	w.mu.Unlock()
	w.poke()
}

func (w *tableWorld) results() (found []lvs.Service, forgotten []lvs.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found, w.forgotten
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
		same(t, "table", kernel.table(), []lvs.Service{service("10.77.0.100", "10.77.0.11", "10.77.0.12"), foreign})
		if _, ops := kernel.count(); ops != 2 {
			t.Errorf("%d writes, want 2: one server added, one removed", ops)
		}
		if found, _ := w.results(); len(found) != 2 {
			t.Errorf("Desired got %d services found, want 2", len(found))
		}
		select {
		case <-w.Ready():
		default:
			t.Error("not synced")
		}
		w.stop()
	})
}

func TestTableIsHealedAfterForeignHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{}
		many := make([]string, 2000)
		for i := range many {
			many[i] = netip.AddrFrom4([4]byte{10, 78, byte(i >> 8), byte(i)}).String()
		}
		want := service("10.77.0.100", many...)
		w := startTable(t, kernel, want)
		time.Sleep(100 * time.Millisecond)
		kernel.put() // ipvsadm -C
		time.Sleep(1100 * time.Millisecond)
		same(t, "table after a flush by another process", kernel.table(), []lvs.Service{want})
		before, _ := kernel.count()
		time.Sleep(time.Minute)
		if reads, _ := kernel.count(); reads == before || reads > before+15 {
			t.Errorf("%d complete reads of 2000 servers in a minute without changes, want 1 to 15", reads-before)
		}
		w.stop()
	})
}

// What the cheap read always shows differently, such as an empty service by firewall mark for IPv6 of another program,
// does not make every audit a complete read, and hides no change.
func TestTableWithAServiceThatTheCheapReadMistakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeTable{}
		many := make([]string, 2000)
		for i := range many {
			many[i] = netip.AddrFrom4([4]byte{10, 78, byte(i >> 8), byte(i)}).String()
		}
		want := service("10.77.0.100", many...)
		four, six := lvs.Service{Key: lvs.Marked(kernel.IPv4, 7), Scheduler: "rr"}, lvs.Service{Key: lvs.Marked(kernel.IPv6, 7), Scheduler: "sh"}
		fake.put(four, six)
		w := tableWorldOf(fake, fake, slog.New(slog.DiscardHandler), want)
		w.records = map[lvs.Key]bool{}
		w.begin(t)
		time.Sleep(10 * time.Second)
		for n := range 3 {
			before, _ := fake.count()
			time.Sleep(time.Minute)
			if reads, _ := fake.count(); reads == before || reads > before+15 {
				t.Errorf("%d complete reads of 2000 servers in a minute without changes, want 1 to 15", reads-before)
			}
			damaged := service("10.77.0.100", many[1:]...)
			fake.put(damaged, four, six)
			time.Sleep(1600 * time.Millisecond)
			same(t, fmt.Sprintf("after change %d", n), fake.table(), []lvs.Service{want, four, six})
		}
		w.stop()
	})
}

// Changes that the cheap read does not see (thresholds, flags) are found by a complete read; in a small table within a
// second.
func TestTableIsHealedOfWhatTheCheapLookMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{}
		want := service("10.77.0.100", "10.77.0.11")
		w := startTable(t, kernel, want)
		time.Sleep(500 * time.Millisecond)
		changed := service("10.77.0.100", "10.77.0.11")
		changed.Servers[0].Upper = 1
		kernel.put(changed)
		time.Sleep(1600 * time.Millisecond)
		same(t, "table after thresholds set by another process", kernel.table(), []lvs.Service{want})
		w.stop()
	})
}

func TestTableFollowsVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{}
		w := startTable(t, kernel, service("10.77.0.100"))
		synctest.Wait()
		w.wants(service("10.77.0.100", "10.77.0.11"))
		time.Sleep(settle)
		synctest.Wait()
		same(t, "table", kernel.table(), []lvs.Service{service("10.77.0.100", "10.77.0.11")})
		w.stop()
	})
}

func TestTableRetriesWithBackoffAndFailsOnlyAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{failNext: errors.New("out of memory")}
		w := startTable(t, kernel, service("10.77.0.100"))
		time.Sleep(time.Second)
		same(t, "table after a retry", kernel.table(), []lvs.Service{service("10.77.0.100")})
		if p := w.Problem(); p != "" {
			t.Errorf("problem %q after a retry that succeeded", p)
		}
		kernel.fail(errFatal)
		w.wants(service("10.77.0.100", "10.77.0.11"))
		time.Sleep(time.Minute)
		select {
		case <-w.done:
			t.Errorf("the loop ended with %v; after a first success no error may end it", w.err)
		default:
		}
		if reads, _ := kernel.count(); reads > 25 {
			t.Errorf("%d reads in a minute of failure, want at most 25 with a backoff", reads)
		}
		if p := w.Problem(); p != errFatal.Error() {
			t.Errorf("problem %q, want %q", p, errFatal)
		}
		w.stop()
	})
}

func TestTableWithoutSchedulerFailsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startTable(t, &fakeTable{failNext: errFatal, failEverSince: true}, service("10.77.0.100"))
		<-w.done
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
		var log logtest.Buffer
		w := newTableWorld(t, kernel, kernel, slog.New(slog.NewTextHandler(&log, nil)), service("10.77.0.100", "10.77.0.11"))
		synctest.Wait()
		w.stop()
		if err := w.Withdraw(t.Context()); err != nil {
			t.Fatal(err)
		}
		if line := `level=INFO msg=table change="ipvsadm -D -t 10.77.0.100:3306"`; log.Count(line) != 1 {
			t.Errorf("%s\nwant a line %s", log.String(), line)
		}
		same(t, "table", kernel.table(), []lvs.Service{foreign})
	})
}

func TestTableIsAuditedWhileVerdictsKeepComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &fakeTable{}
		w := startTable(t, kernel, service("10.77.0.100", "10.77.0.11"))
		synctest.Wait()
		kernel.put() // ipvsadm -C
		for range 5 {
			time.Sleep(auditEvery / 3)
			w.poke() // another real server flaps
		}
		time.Sleep(settle)
		same(t, "table", kernel.table(), []lvs.Service{service("10.77.0.100", "10.77.0.11")})
		w.stop()
	})
}

func TestDeletedServiceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startTable(t, &fakeTable{}, service("10.77.0.100"), service("10.77.0.101"))
		synctest.Wait()
		w.wants(service("10.77.0.101"))
		time.Sleep(time.Second)
		if _, forgotten := w.results(); !slices.Equal(forgotten, []lvs.Key{service("10.77.0.100").Key}) {
			t.Errorf("forgotten: %v", forgotten)
		}
		w.stop()
	})
}

// A record of a virtual server that is neither wanted nor in the table is forgotten by the next complete read, also while
// a change is refused: what another process adds there later is not ours. One that is there, and ours, is deleted.
func TestRecordOfAnAbsentServiceIsForgotten(t *testing.T) {
	first, left, gone, later := service("10.77.0.100"), service("10.77.0.101"), service("10.77.0.102"), service("10.77.0.103")
	for name, refused := range map[string]bool{"clean": false, "a change is refused": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kernel := &brokenTable{}
				kernel.put(left)
				if refused {
					kernel.breaks(nil, refusal{{Kind: lvs.AddService, Service: first}})
				}
				w := tableWorldOf(kernel, &kernel.fakeTable, slog.New(slog.DiscardHandler), first, later)
				w.records = map[lvs.Key]bool{first.Key: true, left.Key: true, gone.Key: true}
				w.begin(t)
				time.Sleep(time.Second)
				kernel.breaks(nil, nil)
				kernel.put(append(kernel.table(), gone)...) // by another process
				time.Sleep(10 * time.Second)
				same(t, "table", kernel.table(), []lvs.Service{first, later, gone})

				// The same while the loop runs: the file drops it just after another process has deleted it.
				kernel.put(first, gone)
				w.wants(first)
				time.Sleep(10 * time.Second)
				kernel.put(first, gone, later)
				time.Sleep(10 * time.Second)
				same(t, "table after a reload", kernel.table(), []lvs.Service{first, gone, later})
				w.stop()
			})
		})
	}
}

// A virtual server that another process made and that the file names later is ours from then on, although nothing has to
// be written.
func TestServiceAdoptedByAReloadIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, other := service("10.77.0.100"), service("10.77.0.101")
		kernel := &fakeTable{services: []lvs.Service{other}}
		w := tableWorldOf(kernel, kernel, slog.New(slog.DiscardHandler), first)
		w.records = map[lvs.Key]bool{}
		w.begin(t)
		time.Sleep(time.Second)
		w.wants(first, other)
		time.Sleep(10 * time.Second)
		w.wants(first)
		time.Sleep(10 * time.Second)
		same(t, "table", kernel.table(), []lvs.Service{first})
		w.stop()
	})
}

func TestAdoptedServerCountsOnlyUntilItIsTakenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := service("10.77.0.100", "10.77.0.11", "10.77.0.12")
		w := startTable(t, &fakeTable{services: []lvs.Service{full}}, full)
		time.Sleep(time.Second)
		w.wants(service("10.77.0.100", "10.77.0.11")) // the other one is down, or not in the file
		time.Sleep(time.Second)
		w.wants(full)
		time.Sleep(time.Second)
		found, _ := w.results()
		same(t, "found", found, []lvs.Service{service("10.77.0.100", "10.77.0.11")})
		w.stop()
	})
}
