package director

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// ended returns the events about drains that have ended since the last call.
func (m *machine) ended() []string {
	return slices.DeleteFunc(m.happened(), func(e string) bool { return !strings.HasPrefix(e, "drain_ended") })
}

// TestDrainOfFailing: a drain whose server fails its checks goes on when they pass again.
func TestDrainOfFailing(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.connected(one, 2)
		if err := m.override(mysql1); err != "" {
			t.Fatal(err)
		}
		m.refuses(one, true)
		m.pass(20 * time.Second)
		m.expectEntry("its checks fail", "-", "draining")
		if r := m.Status().VirtualServers[0].RealServers[0]; !strings.HasPrefix(r.Reason, "draining: its checks fail, and the drain goes on") {
			t.Error(r.Reason)
		}
		m.refuses(one, false)
		for range 100 {
			if m.pass(100 * time.Millisecond); m.entry(one) != "-" {
				break
			}
		}
		m.connected(one, 2)
		m.pass(20 * time.Second)
		m.expectEntry("its checks pass", "0", "draining")
		if got := m.ended(); len(got) != 0 {
			t.Error(got)
		}
		m.connected(one, 0)
		m.pass(8 * time.Second)
		m.expectEntry("without connections", "-", "disabled")
	})
}

// TestDrainUnseen: a cheap read that lacks an entry ends no drain, not even at a start.
func TestDrainUnseen(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.connected(one, 2)
		if err := m.override(mysql1); err != "" {
			t.Fatal(err)
		}
		m.hide(one)
		m.pass(20 * time.Second)
		m.expectEntry("not in a cheap read", "0", "draining")
		m.again()
		m.pass(20 * time.Second)
		m.expectEntry("after a restart", "0", "draining")
		if got := m.ended(); len(got) != 0 {
			t.Error(got)
		}
		m.connected(one, 0)
		m.pass(20 * time.Second)
		m.expectEntry("without connections", "-", "disabled")
	})
}

// hide lets cheap reads of the table lack a real server.
func (m *machine) hide(address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hidden = address
}

// again starts the director with the table of the run before, as after a kill.
func (m *machine) again() {
	m.killed()
	m.start(m.file)
}

// killed ends the director and leaves its table.
func (m *machine) killed() {
	m.mu.Lock()
	left := m.services
	m.mu.Unlock()
	_ = m.stop()
	m.mu.Lock()
	m.services = left
	m.mu.Unlock()
}

// TestDrainedAtStart: a server that was drained in an earlier run gets no entry.
func TestDrainedAtStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		if err := m.override(mysql1); err != "" {
			t.Fatal(err)
		}
		m.pass(10 * time.Second)
		m.expectEntry("drained", "-", "disabled")
		m.happened()
		m.again()
		m.pass(10 * time.Second)
		m.expectEntry("after a restart", "-", "disabled")
		if got := m.ended(); len(got) != 0 {
			t.Error(got)
		}
		m.reload(strings.ReplaceAll(weighing(5, 1), "name: mysql1", "name: renamed"))
		m.pass(10 * time.Second)
		m.expectEntry("under another name", "-", "disabled")
		if got := m.ended(); len(got) != 0 {
			t.Errorf("it was drained once more: %v", got)
		}
	})
}

// TestLateOverrides: what the state file gets from a slow disk after the start is in effect.
func TestLateOverrides(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.connected(one, 1)
		late, _ := override.Set{}.Put(override.Override{Target: override.Target{Server: "mysql1"}, Kind: override.Drain, Author: "alice"}, "n", time.Now())
		if err := m.loops.Load().state.SetOverrides(late); err != nil {
			t.Fatal(err)
		}
		m.pass(3 * time.Second)
		m.expectEntry("late", "0", "draining")
		if err := m.override(status.OverrideRequest{Target: "mysql2", Kind: override.Weight, Weight: 2}); err != "" {
			t.Fatal(err)
		}
		if all := m.Status().Overrides; len(all) != 2 {
			t.Errorf("%+v", all)
		}
	})
}

// TestOverrideEndedByAnotherName: the status and the problems have no override that a later decision has ended by another
// name of the server.
func TestOverrideEndedByAnotherName(t *testing.T) {
	begun := time.Now()
	s := snapshots{plan: plan.Plan{Config: parse(t, weighing(1, 1))}}
	for _, tt := range []struct {
		first, last override.Target
		want        int
	}{
		{override.Target{Service: "mysql", Server: "mysql1"}, override.Target{Server: "mysql1"}, 0},
		{override.Target{Server: "mysql1"}, override.Target{Service: "mysql", Server: "mysql1"}, 0},
		{override.Target{Server: one}, override.Target{Server: "mysql1"}, 0},
		{override.Target{Server: "mysql1"}, override.Target{Server: "mysql2"}, 1},
		{override.Target{}, override.Target{Server: "mysql2"}, 1},
	} {
		set, _ := override.Set{}.Put(override.Override{Target: tt.first, Kind: override.Drain, Author: "alice"}, "n", begun)
		s.overrides, _ = set.Put(override.Override{Target: tt.last, Kind: override.Enable, Author: "alice"}, "n", begun)
		now := begun.Add(25 * time.Hour)
		if all, found := overridesStatus(s, now), overrideProblems(s, now); len(all) != tt.want || len(found) != tt.want {
			t.Errorf("drain %s, enable %s: %+v, %+v", tt.first, tt.last, all, found)
		}
	}
}

// TestEmptyWhileDrained: an instance of a drained director knows that its pools have become empty, and no longer are.
func TestEmptyWhileDrained(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		if err := m.override(status.OverrideRequest{Director: true, Kind: override.Drain, Force: true}); err != "" {
			t.Fatal(err)
		}
		for _, empty := range []bool{true, false} {
			m.refuses(one, empty)
			m.refuses(two, empty)
			m.pass(20 * time.Second)
			if got := m.plan.Load().Instances[0].Empty; got != empty {
				t.Errorf("empty: %t, want %t", got, empty)
			}
		}
	})
}
