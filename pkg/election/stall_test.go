package election

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// pair returns a MASTER and its BACKUP, 5 s after the start.
func pair(t *testing.T) (l *lan, master, backup *machine) {
	l = newLAN()
	master = l.join(t, "a", "10.77.0.2", 150)
	backup = l.join(t, "b", "10.77.0.3", 100)
	time.Sleep(5 * time.Second)
	return l, master, backup
}

// A MASTER that stalled finds adverts of a new MASTER on its socket: it sends nothing and steps back, although its
// timer fires before the goroutine that reads the socket runs.
func TestStalledMasterReadsItsSocketFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := pair(t)
		sent := a.Snapshot().AdvertsSent
		l.freeze(a, 20*time.Second)
		time.Sleep(20*time.Second + time.Millisecond)
		l.expect(t, "  8023ms b acquire silent=true", " 25000ms a release")
		if now := a.Snapshot().AdvertsSent; now != sent {
			t.Errorf("sent %d adverts after the stall", now-sent)
		}
		if got, want := a.Snapshot().Reason, "BACKUP: stalled for 20.59s; 10.77.0.3 took over with priority 100"; got != want {
			// Later adverts replace the reason.
			if want = "BACKUP: lower priority 100 from 10.77.0.3, taking over when the master-down timer ends"; got != want {
				t.Errorf("reason %q, want %q", got, want)
			}
		}
		time.Sleep(4 * time.Second)
		l.expect(t, " 28414ms a acquire silent=false", " 28414ms b retain", " 28414ms a announce")
		a.stop()
		b.stop()
	})
}

// No peer took over: the VIPs are added again at once, whether the timer or the loss of the lease comes first.
func TestStalledMasterAloneTakesItsVIPsAnew(t *testing.T) {
	for name, lost := range map[string]bool{"timer": false, "lease": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN()
				a := l.join(t, "a", "10.77.0.2", 150)
				time.Sleep(5 * time.Second)
				l.freeze(a, 20*time.Second)
				if lost {
					a.Tell(vrrp.Lost{Reason: "lease"})
				}
				time.Sleep(20*time.Second + time.Millisecond)
				l.mu.Lock()
				l.log = slices.Compact(l.log) // the timer and the loss may each request them, which is harmless
				l.mu.Unlock()
				l.expect(t, " 25000ms a acquire silent=true")
				if got := a.Snapshot().State; got != vrrp.Master {
					t.Errorf("%s", got)
				}
				a.stop()
			})
		})
	}
}

// A BACKUP that stalled finds the MASTER's adverts on its socket and does not take over.
func TestStalledBackupReadsItsSocketFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := pair(t)
		l.freeze(b, 20*time.Second)
		time.Sleep(25 * time.Second)
		l.expect(t)
		a.stop()
		b.stop()
	})
}

// A suspended host receives nothing, and its monotonic clock stops.
func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := pair(t)
		time.Sleep(time.Millisecond)
		l.mu.Lock()
		l.log, l.frozen[a.address] = nil, true
		l.mu.Unlock()
		_ = l.Send(mustAdvert(t, b), b.address, group) // while a is suspended: queued on its socket
		a.slept.Store(int64(time.Hour))
		time.Sleep(time.Second)
		l.expect(t, "  5250ms a release")

		time.Sleep(10 * time.Second) // b took over, then a preempted
		l.mu.Lock()
		l.log = nil
		l.mu.Unlock()
		b.slept.Store(int64(time.Hour)) // a BACKUP waits for one more advert before it takes over
		time.Sleep(10 * time.Second)
		l.expect(t)
		a.stop()
		b.stop()
	})
}

func mustAdvert(t *testing.T, m *machine) []byte {
	t.Helper()
	p := vrrp.Packet{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addresses: m.addresses}
	payload, err := p.Append(nil, m.address, group, vrrp.PseudoHeaderChecksum)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func TestLateness(t *testing.T) {
	var l Lateness
	if got := l.Quantile(.99); got != 0 {
		t.Errorf("empty histogram: %s", got)
	}
	for range 98 {
		l.Add(300 * time.Microsecond)
	}
	l.Add(-time.Second)
	l.Add(30 * time.Millisecond)
	for q, want := range map[float64]time.Duration{0: time.Millisecond, .5: time.Millisecond, .99: time.Millisecond, 1: 30 * time.Millisecond} {
		if got := l.Quantile(q); got != want {
			t.Errorf("quantile %v: %s, want %s", q, got, want)
		}
	}
	l.Add(3 * time.Second)
	l.Add(time.Second)
	if got := l.Quantile(.99); got != time.Second || l.Max != 3*time.Second || l.Quantile(1) != l.Max || l.Count != 102 {
		t.Errorf("p99 %s, max %s, count %d", got, l.Max, l.Count)
	}
	var sum uint64
	for _, b := range l.Buckets() {
		sum += b.Count
	}
	if sum != l.Count {
		t.Errorf("buckets have %d of %d", sum, l.Count)
	}
}

// Only periodic adverts are counted: an answer to a peer or a resignation is never late.
func TestLatenessOfAdverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a := l.join(t, "a", "10.77.0.2", 150)
		time.Sleep(10 * time.Second)
		l.freeze(a, 1600*time.Millisecond) // until 11.6 s; the advert due at 10.414 s is late
		time.Sleep(2 * time.Second)
		a.stop()
		got := a.Snapshot()
		if got.Lateness.Count != 7 || got.Lateness.Max != 1600*time.Millisecond-414062500*time.Nanosecond {
			t.Errorf("%d adverts sent, %d of them were due, the latest by %s", got.AdvertsSent, got.Lateness.Count, got.Lateness.Max)
		}
	})
}

// Actors and links send heartbeats even if nothing happens, and stop when they end.
func TestIdleLoopsBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set heartbeat.Set
		link := NewLink(eth0, func(vrrp.Segment) (Socket, error) { return nil, context.Canceled }, slog.New(slog.DiscardHandler))
		l := newLAN()
		a := New(Options{
			Name: "a", Params: vrrp.Params{VRID: 51, Version: 3, AdvertInterval: 40 * time.Second}, Wire: tap{lan: l},
			Holder: &port{lan: l}, Log: slog.New(slog.DiscardHandler),
		})
		a.Tell(vrrp.Faulted{Reason: "no carrier"})
		ctx, cancel := context.WithCancel(t.Context())
		go link.Run(heartbeat.With(ctx, set.Start("link")))
		go a.Run(heartbeat.With(ctx, set.Start("actor")))
		m := heartbeat.NewMonitor(&set)
		for range 20 {
			time.Sleep(heartbeat.Every + time.Millisecond)
			synctest.Wait()
			for _, idle := range m.Look(heartbeat.Every) {
				if idle.For > 0 {
					t.Errorf("%+v", idle)
				}
			}
		}
		cancel()
		synctest.Wait()
		if left := m.Look(0); len(left) != 0 {
			t.Errorf("still monitored after their end: %v", left)
		}
	})
}
