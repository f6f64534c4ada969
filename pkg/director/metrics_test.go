package director

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestMetricsAskNothing: a scrape reads nothing from the kernel, and has the same as the status. In real time, as
// TestStatusNeedsNoElection; it judges no duration.
func TestMetricsAskNothing(t *testing.T) {
	m := &machine{t: t, fakeKernel: newFakeKernel(), dir: t.TempDir(), stop: func() error { return nil }}
	m.recorded = recording(m.dir, &m.log)
	k := hangingTable{m.fakeKernel, make(chan struct{}, 1), make(chan struct{}), new(atomic.Bool)}
	o := m.options(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two))
	o.Kernel = k
	m.runs(o)
	defer func() { _ = m.stop() }()
	var n metrics.Node
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		n = m.Metrics(t.Context())
		if len(n.Director.Leases) == 1 && n.Director.Status.VirtualServers[0].State == "up" && n.Director.Checks != nil && len(n.Director.Checks.Servers) == 2 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%+v", n.Director)
		}
	}
	k.hangs.Store(true)
	defer close(k.goes)
	n = m.Metrics(t.Context())
	if left := n.Director.Leases["a"]; left <= 0 {
		t.Errorf("the lease is %s", left)
	}
	select {
	case <-k.asked:
		t.Error("the kernel was asked for the table")
	default:
	}
	k.hangs.Store(false)
	other := cmpopts.IgnoreFields(status.Instance{}, "AdvertsSent", "AdvertsReceived", "AdvertLateness")
	if diff := cmp.Diff(m.Status().VirtualServers, n.Director.Status.VirtualServers, cmpopts.EquateEmpty(), other, cmpopts.IgnoreUnexported(status.RealServer{})); diff != "" {
		t.Errorf("(-status +metrics):\n%s", diff)
	}
}

// TestMetricsOfAStart: a director that has not started yet says so.
func TestMetricsOfAStart(t *testing.T) {
	m := &machine{t: t, fakeKernel: newFakeKernel(), dir: t.TempDir()}
	m.recorded = recording(m.dir, &m.log)
	d := New(m.options(electing + router("a", "eth0", 51, vip)))
	if n := d.Metrics(context.Background()); len(n.Head.ProblemDetails) != 1 || n.Director == nil || n.Director.Checks != nil {
		t.Errorf("%+v", n)
	}
}

// BenchmarkMetrics is the work of one scrape, without the network.
func BenchmarkMetrics(b *testing.B) {
	s := sized(250, 4, true)
	s.known = true
	p := newProblemMonitor(func(depth) snapshots { return s }, nil, func(event.Event) {})
	p.examine(withPools)
	for b.Loop() {
		doc := p.last()
		_ = metrics.Write(discard{}, metrics.Node{Head: doc.Head, Director: &metrics.Director{Status: doc}})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
