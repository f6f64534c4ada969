package takeover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/replication"
)

// holderLog notes what the address loop is told.
type holderLog struct {
	mu    sync.Mutex
	calls []string
}

func (h *holderLog) note(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, what)
}

func (h *holderLog) Acquire(_ config.InstanceID, silent bool) {
	h.note(fmt.Sprintf("acquire %t", silent))
}
func (h *holderLog) Release(config.InstanceID)                  { h.note("release") }
func (h *holderLog) Retain(config.InstanceID, time.Duration)    { h.note("retain") }
func (h *holderLog) Announce(config.InstanceID)                 { h.note("announce") }
func (h *holderLog) Outranked(config.InstanceID, time.Duration) { h.note("outranked") }
func (h *holderLog) Ask(config.InstanceID, netip.Addr)          { h.note("ask") }

// gated is a gate of an instance that waits up to 5 s for a replica.
type gated struct {
	*Gate
	holderLog
	replica replica
	endings []string
	changes int
}

// replica is a database that has received 100 bytes and applied some of them.
type replica struct {
	mu      sync.Mutex
	applied uint64
	stopped bool
	unread  string
	err     error
}

func (r *replica) set(f func(r *replica)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

func (r *replica) ask(context.Context, Server) (replication.Positions, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := replication.Source{Host: "b", Port: 3306, Applying: map[bool]string{false: "Yes", true: "No"}[r.stopped]}
	s.Received, s.Applied = replication.LogPosition{File: "b.1", Offset: 100}, replication.LogPosition{File: "b.1", Offset: r.applied}
	if r.unread != "" {
		return replication.Positions{ReplicationUnread: r.unread, Unread: []string{r.unread}}, r.err
	}
	return replication.Positions{Sources: []replication.Source{s}, Unread: []string{"the binary log: may not"}}, r.err
}

func gate(t *testing.T, fault bool, f func(g *gated)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &gated{}
		g.Gate = NewGate(GateOptions{
			Holder: &g.holderLog, Ask: g.replica.ask, Changed: func() { g.changes++ },
			Ended: func(w Waited) { g.endings = append(g.endings, fmt.Sprintf("%s %v %t", w.Ending, w.Took, w.Fault)) },
		})
		g.Set(map[config.InstanceID]Wait{"i": {Name: "mysql", Server: local, Timeout: 5 * time.Second, Fault: fault}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		f(g)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// expect compares what the address loop was told and the endings so far.
func (g *gated) expect(t *testing.T, when string, after time.Duration, calls, endings string) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if got := strings.Join(g.calls, ", "); got != calls {
		t.Errorf("%s: the address loop was told %q, want %q", when, got, calls)
	}
	if got := strings.Join(g.endings, ", "); got != endings {
		t.Errorf("%s: endings %q, want %q", when, got, endings)
	}
}

func TestGateWaits(t *testing.T) {
	gate(t, false, func(g *gated) {
		g.Gate.Acquire("other", true)
		g.expect(t, "an instance without a wait", 0, "acquire true", "")
		g.Gate.Acquire("i", false)
		g.Gate.Acquire("i", true) // as after a stall
		g.expect(t, "before it is applied", 3*time.Second, "acquire true", "")
		if w := g.Waiting(); len(w) != 1 || w[0].Text != "received from b:3306 up to b.1:100, applied up to b.1:0" {
			t.Errorf("%+v", w)
		}
		g.replica.set(func(r *replica) { r.applied = 100 })
		g.expect(t, "applied", askEvery, "acquire true, acquire false", "applied 3.05s false")
		g.Gate.Acquire("i", true)
		g.expect(t, "again, while it is held", 0, "acquire true, acquire false, acquire true", "applied 3.05s false")
		if w := g.Waiting(); len(w) != 0 {
			t.Errorf("%+v", w)
		}
		g.Gate.Retain("i", time.Second)
		g.Gate.Release("i")
		g.replica.set(func(r *replica) { r.applied = 0 })
		g.Gate.Acquire("i", false)
		g.expect(t, "the next time", time.Second, "acquire true, acquire false, acquire true, retain, release", "applied 3.05s false")
	})
}

func TestGateTakes(t *testing.T) {
	gate(t, false, func(g *gated) {
		g.Gate.Acquire("i", true)
		g.expect(t, "too late", 5*time.Second, "acquire true", "timeout 5s false")
	})
	gate(t, false, func(g *gated) {
		g.replica.set(func(r *replica) { r.stopped = true })
		g.Gate.Acquire("i", true)
		g.expect(t, "the thread has stopped", 0, "acquire true", "stuck 0s false")
	})
	gate(t, false, func(g *gated) {
		g.replica.set(func(r *replica) { r.err = errors.New("connection refused") })
		g.Gate.Acquire("i", true)
		g.expect(t, "no database", 5*time.Second, "acquire true", "timeout 5s false")
	})
}

// TestGateAsksWhatItMaySee: what else the account may not see does not matter; the replication does.
func TestGateAsksWhatItMaySee(t *testing.T) {
	gate(t, false, func(g *gated) {
		g.replica.set(func(r *replica) { r.unread = "replication: may not" })
		g.Gate.Acquire("i", true)
		g.expect(t, "the account may not see the replication", 4*time.Second, "", "")
		if w := g.Waiting(); len(w) != 1 || w[0].Text != "replication: may not" {
			t.Errorf("%+v", w)
		}
	})
}

func TestGateHoldsBack(t *testing.T) {
	gate(t, true, func(g *gated) {
		g.Gate.Acquire("i", true)
		g.expect(t, "too late", 5*time.Second, "", "timeout 5s true")
		if why := g.HeldBack()["i"]; why != "the relay log is not applied: received from b:3306 up to b.1:100, applied up to b.1:0" {
			t.Errorf("%q", why)
		}
		g.Gate.Release("i")
		g.expect(t, "in FAULT", 3*time.Second, "release", "timeout 5s true")
		g.replica.set(func(r *replica) { r.applied = 100 })
		g.expect(t, "applied", againEvery, "release", "timeout 5s true")
		if held := g.HeldBack(); len(held) != 0 {
			t.Errorf("%v", held)
		}
		g.Gate.Acquire("i", false)
		g.expect(t, "MASTER again", 0, "release, acquire false", "timeout 5s true, applied 0s false")
	})
}

// TestGateEnds: a wait that the election ends, by BACKUP or by another MASTER, acquires nothing.
func TestGateEnds(t *testing.T) {
	for _, end := range []func(g *gated){func(g *gated) { g.Gate.Release("i") }, func(g *gated) { g.Gate.Retain("i", time.Second) }} {
		gate(t, true, func(g *gated) {
			g.Gate.Acquire("i", true)
			time.Sleep(time.Second)
			end(g)
			g.replica.set(func(r *replica) { r.applied = 100 })
			g.expect(t, "ended", 10*time.Second, "release", "")
			if held := g.HeldBack(); len(held) != 0 || len(g.Waiting()) != 0 {
				t.Errorf("%v", held)
			}
		})
	}
	gate(t, true, func(g *gated) { // a file without the wait lets an instance in FAULT go
		g.replica.set(func(r *replica) { r.stopped = true })
		g.Gate.Acquire("i", true)
		g.expect(t, "stuck", 0, "", "stuck 0s true")
		before := g.changes
		g.Set(nil)
		if g.changes == before {
			t.Error("nobody is told that the instance may be MASTER again")
		}
		if held := g.HeldBack(); len(held) != 0 {
			t.Errorf("%v", held)
		}
		g.Gate.Acquire("i", true)
		if !slices.Equal(g.calls, []string{"acquire true"}) {
			t.Error(g.calls)
		}
	})
}
