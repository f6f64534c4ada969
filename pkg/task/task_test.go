package task

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loop is a task that sends a heartbeat once a second and reports its end.
type loop struct {
	Latch
	name  string
	fails chan error
	ends  func(name string)
}

func (l *loop) Name() string { return l.name }

func (l *loop) Run(ctx context.Context) error {
	defer l.ends(l.name)
	l.Close()
	for {
		heartbeat.From(ctx).Beat()
		select {
		case <-ctx.Done():
			time.Sleep(time.Second) // ends slowly
			return errors.New("interrupted")
		case err := <-l.fails:
			return err
		case <-time.After(time.Second):
		}
	}
}

func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var ended []string
		var heartbeats heartbeat.Set
		make := func(name string) *loop {
			return &loop{name: name, fails: make(chan error), ends: func(name string) {
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, name)
			}}
		}
		g := NewGroup(&heartbeats)
		a, b, c := make("the first"), make("the second"), make("the third")
		first := g.Start(a)
		g.Start(b)
		g.Start(c)
		<-a.Ready()
		m := heartbeat.NewMonitor(&heartbeats)
		for range 3 {
			time.Sleep(time.Second + time.Millisecond)
			for _, idle := range m.Look(time.Second) {
				if idle.For > 0 {
					t.Errorf("%s is reported as stalled", idle.Name)
				}
			}
		}
		first.Stop()
		if !slices.Equal(ended, []string{"the first"}) || len(m.Look(0)) != 2 {
			t.Errorf("ended: %v, monitored: %v", ended, m.Look(0))
		}
		broken := errors.New("broken")
		c.fails <- broken
		if err := <-g.Failed(); !errors.Is(err, broken) {
			t.Errorf("failed: %v", err)
		}
		if len(m.Look(0)) != 1 {
			t.Errorf("only b should be monitored: %v", m.Look(0))
		}
		g.Stop()
		g.Stop()
		select {
		case err := <-g.Failed():
			t.Errorf("a stopped task was reported as failed: %v", err)
		default:
		}
		if len(ended) != 3 || len(m.Look(0)) != 0 {
			t.Errorf("ended: %v, monitored: %v", ended, m.Look(0))
		}
	})
}

func TestStopWaitsForAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(nil)
		for _, name := range []string{"a", "b", "c"} {
			g.Start(&loop{name: name, ends: func(string) {}})
		}
		synctest.Wait()
		begun := time.Now()
		g.Stop()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("took %s, want 1 s, the time of the slowest", took)
		}
	})
}

func TestPublished(t *testing.T) {
	var p Published[int]
	value, changed := p.Get()
	select {
	case <-changed:
		t.Error("changed before Set")
	default:
	}
	p.Set(7)
	<-changed
	if again, _ := p.Get(); value != 0 || again != 7 || p.Load() != 7 {
		t.Errorf("%d, then %d, %d", value, again, p.Load())
	}
}

func TestLatch(t *testing.T) {
	var l, untouched Latch
	l.Close()
	l.Close()
	<-l.Ready()
	if !l.Closed() || untouched.Closed() {
		t.Error("Closed is wrong for the closed or the untouched latch")
	}
}
