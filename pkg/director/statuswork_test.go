package director

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// hangingTable is a kernel that does not answer a status request's read of the table until it is let go.
type hangingTable struct {
	*fakeKernel
	asked chan struct{}
	goes  chan struct{}
	hangs *atomic.Bool
}

func (k hangingTable) Services() ([]lvs.Service, error) {
	if k.hangs.Load() {
		select {
		case k.asked <- struct{}{}:
		default:
		}
		<-k.goes
	}
	return k.fakeKernel.Services()
}

// TestStatusNeedsNoElection: while a status request reads the kernel's table, however long that takes, adverts leave as
// before: the request holds nothing that an election needs. In real time, because others wait for the request with a mutex,
// during which the time of a synctest bubble stands still; it waits for adverts and judges no duration.
func TestStatusNeedsNoElection(t *testing.T) {
	m := &machine{t: t, fakeKernel: newFakeKernel(), dir: t.TempDir(), stop: func() error { return nil }}
	m.recorded = recording(m.dir, &m.log)
	k := hangingTable{m.fakeKernel, make(chan struct{}, 1), make(chan struct{}), new(atomic.Bool)}
	o := m.options(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two))
	o.Kernel = k
	m.runs(o)
	defer func() { _ = m.stop() }()
	sends := func(adverts uint64) {
		t.Helper()
		for until, enough := time.Now().Add(time.Minute), m.advertsSent()+adverts; m.advertsSent() < enough; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%d adverts", m.advertsSent())
			}
		}
	}
	sends(1)
	k.hangs.Store(true)
	answered := make(chan struct{})
	go func() {
		m.Status()
		close(answered)
	}()
	<-k.asked
	sends(10)
	k.hangs.Store(false)
	close(k.goes)
	<-answered
}

func (m *machine) advertsSent() (n uint64) {
	if l := m.loops.Load(); l != nil {
		for _, s := range l.instances.counted() {
			n += s.AdvertsSent
		}
	}
	return n
}

// TestStatusGivesWay: the work of a status request with 10 000 real servers is interrupted at least once for every
// 200 of them, so that an election that is due on the same CPU waits for a small part of it.
func TestStatusGivesWay(t *testing.T) {
	const servers = 10000
	s := sized(1, servers, true)
	m := newProblemMonitor(func(depth) snapshots { return s }, nil, func(event.Event) {})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var turns atomic.Int64
	var ends atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !ends.Load() {
			turns.Add(1)
			runtime.Gosched()
		}
	}()
	before := turns.Load()
	m.examine(withCounters)
	got := turns.Load() - before
	ends.Store(true)
	<-ended
	if want := int64(servers / 200); got < want {
		t.Errorf("another goroutine had %d turns, want %d at least", got, want)
	}
}
