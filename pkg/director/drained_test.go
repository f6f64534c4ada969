package director

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var (
	drainDirector  = status.OverrideRequest{Director: true, Kind: override.Drain}
	enableDirector = status.OverrideRequest{Director: true, Kind: override.Enable}
)

// succeed makes another director of a lower priority take over a moment later, and stay.
func (n *node) succeed(vrid uint8, address string) {
	time.AfterFunc(500*time.Millisecond, func() {
		n.deliver("successor of "+address, 10, 1, vrrp.Packet{
			Version: 3, VRID: vrid, Priority: 50, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr(address)},
		}, "10.77.0.3")
	})
}

func (m *machine) expectState(when, instance, want string) {
	m.t.Helper()
	m.pass(5 * time.Second)
	if got := m.state(instance); got != want {
		m.t.Errorf("%s: %s is %s, want %s: %s", when, instance, got, want, m.reason(instance))
	}
}

// TestDirectorDrainedForATime: when the time is up the director preempts as before, and so it does after an enable that finds
// only a handover.
func TestDirectorDrainedForATime(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer n.end()
		m.start(pairOf(m, true, ""))
		n.succeed(51, vip)
		r := drainDirector
		r.Within = time.Minute
		if err := m.override(r); err != "" {
			t.Fatal(err)
		}
		m.expectState("drained", "a", "BACKUP")
		m.pass(40 * time.Second)
		m.expectState("still drained", "a", "BACKUP")
		m.pass(10 * time.Second)
		m.expectState("the time is up", "a", "MASTER")
		n.silence("successor of " + vip)
		m.pass(time.Second)
		n.succeed(51, vip)
		if _, err := m.FailOver(t.Context(), "a", false, "root"); err != nil {
			t.Fatal(err)
		}
		m.expectState("handed over", "a", "BACKUP")
		if err := m.override(enableDirector); err != "" {
			t.Error(err)
		}
		m.expectState("enabled", "a", "MASTER")
		n.silence("successor of " + vip)
	})
}

// TestDirectorHalfDrained: a drain that fails leaves what had been handed over before it, and takes back what it has handed
// over itself; by force it goes on after an instance that nobody takes over.
func TestDirectorHalfDrained(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer n.end()
		m.answer("10.77.0.3", health.Result{Code: health.OK, Class: health.Good})
		m.start(pairOf(m, true, "") + router("b", "eth0", 52, "10.77.0.101") + router("c", "eth0", 53, "10.77.0.102"))
		n.succeed(51, vip)
		if _, err := m.FailOver(t.Context(), "a", false, "root"); err != nil {
			t.Fatal(err)
		}
		n.succeed(52, "10.77.0.101")
		if err := m.override(drainDirector); !strings.Contains(err, "nobody took c over") || !strings.Contains(err, "which it has ended: 1)") {
			t.Errorf("%q", err)
		}
		m.expectState("refused: handed over before", "a", "BACKUP")
		m.expectState("refused: handed over by it", "b", "MASTER")
		n.silence("successor of 10.77.0.101")
		m.pass(time.Second)
		time.AfterFunc(1500*time.Millisecond, func() { n.succeed(53, "10.77.0.102") }) // after the handover of b, which nobody takes
		r := drainDirector
		r.Force = true
		if err := m.override(r); err != "" {
			t.Error(err)
		}
		m.expectState("by force: nobody takes it", "b", "MASTER")
		m.expectState("by force: after that", "c", "BACKUP")
		n.silence("successor of " + vip)
		n.silence("successor of 10.77.0.102")
	})
}

// TestDrainWithMh: an entry that would stay so that the clients of other servers keep theirs does not keep connections that
// have to be cut.
func TestDrainWithMh(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(strings.Replace(weighing(3, 1), "scheduler: rr", "scheduler: mh, scheduler_flags: [fallback]", 1))
		m.connected(one, 2)
		if err := m.override(as(override.Disable)); err != "" {
			t.Fatal(err)
		}
		m.expectEntry("disabled", "-", "disabled")
		if err := m.override(as(override.Enable)); err != "" {
			t.Fatal(err)
		}
		m.connected(one, 2)
		r := mysql1
		r.Patience = 10 * time.Second
		if err := m.override(r); err != "" {
			t.Fatal(err)
		}
		m.expectEntry("two connections", "0", "draining")
		m.pass(12 * time.Second)
		m.expectEntry("the time is up", "-", "disabled")
		_ = m.stop()
		m.start(m.file)
		m.expectEntry("after a restart", "-", "disabled")
		for _, kind := range []override.Kind{override.Enable, override.Drain} {
			if err := m.override(as(kind)); err != "" {
				t.Fatal(err)
			}
		}
		m.pass(10 * time.Second)
		m.expectEntry("without connections", "0", "disabled")
	})
}
