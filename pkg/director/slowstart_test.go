package director

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
)

// rising is a file with a pool whose real servers rise to 100 in 20 s.
func rising() string {
	return strings.Replace(weighing(100, 100), "scheduler: rr,", "scheduler: wlc, slow_start: 20s,", 1)
}

// rises checks that the entry of the second real server rises from a weight to its whole one, by steps of a twentieth that are at least
// a second apart, while the first one keeps its weight, and that nothing is wrong with that. It returns how long that took.
func (m *machine) rises(when string, from int) time.Duration {
	m.t.Helper()
	m.pass(50 * time.Millisecond) // looks between the changes, which reach the table some milliseconds later
	begun, changed, last := time.Now(), time.Time{}, from
	for last < 100 {
		m.pass(100 * time.Millisecond)
		if m.entry(one) != "100" || m.judged() != "up: all 2 real servers are up |" {
			m.t.Fatalf("%s: the other one has %s: %s", when, m.entry(one), m.judged())
		}
		now := 0
		if _, err := fmt.Sscan(m.entry(two), &now); err != nil || now < last || now-last > 5 || time.Since(begun) > time.Minute {
			m.t.Fatalf("%s: %s after %d: %v", when, m.entry(two), last, err)
		}
		if now != last && !changed.IsZero() && time.Since(changed) < 900*time.Millisecond {
			m.t.Errorf("%s: two steps within %s", when, time.Since(changed))
		}
		if r := m.Status().VirtualServers[0].RealServers[1]; now < 100 {
			if want := fmt.Sprintf("; weight %d of 100: slow start, ", now); r.State != "up" || !strings.Contains(r.Reason, want) || r.SlowStartUntil == nil {
				m.t.Fatalf("%s: %+v, want %q", when, r, want)
			}
		} else if r.SlowStartUntil != nil || strings.Contains(r.Reason, "slow start") {
			m.t.Errorf("%s: at the end: %+v", when, r)
		}
		if now != last {
			last, changed = now, time.Now()
		}
	}
	return time.Since(begun)
}

// awaitEntryOfTwo waits until the second real server has an entry, or none.
func (m *machine) awaitEntryOfTwo(there bool) {
	m.t.Helper()
	for range 300 {
		if (m.entry(two) != "-") == there {
			return
		}
		m.pass(100 * time.Millisecond)
	}
	m.t.Fatalf("the entry of %s: %s", two, m.entry(two))
}

// TestSlowStart: a real server that returns, whose drain ends, or that is added gets its weight by steps, and the others keep theirs;
// those of the first pool have theirs at once, and a director that was killed goes on where it was.
func TestSlowStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(rising())
		if m.entry(one) != "100" || m.entry(two) != "100" {
			t.Fatalf("the first pool: %s, %s", m.entry(one), m.entry(two))
		}
		m.refuses(two, true)
		m.awaitEntryOfTwo(false)
		m.refuses(two, false)
		m.awaitEntryOfTwo(true)
		if took := m.rises("it returns", 1); took < 19*time.Second || took > 21*time.Second {
			t.Errorf("it took %s", took)
		}

		drain := mysql1
		drain.Target = "mysql/mysql2"
		if err := m.override(drain); err != "" {
			t.Fatal(err)
		}
		m.awaitEntryOfTwo(false)
		drain.Kind = override.Enable
		if err := m.override(drain); err != "" {
			t.Fatal(err)
		}
		m.rises("the drain ends", 1)

		// Another name, in the middle: it goes on.
		m.refuses(two, true)
		m.awaitEntryOfTwo(false)
		m.refuses(two, false)
		m.awaitEntryOfTwo(true)
		m.pass(8 * time.Second)
		m.reload(strings.ReplaceAll(rising(), "name: mysql2", "name: renamed"))
		if left := m.rises("a reload", 40); left > 12*time.Second {
			t.Errorf("after a reload it took %s", left)
		}
		m.reload(rising())
		if m.entry(two) != "100" {
			t.Errorf("a reload without any slow start: %s", m.entry(two))
		}
	})
}

// TestSlowStartOverRestarts: a director that was killed goes on with what it finds; one that has stopped begins with whole weights. A
// reload that adds the key, and one that adds a real server.
func TestSlowStartOverRestarts(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(1, 1))
		m.reload(rising())
		if m.entry(one) != "100" || m.entry(two) != "100" {
			t.Fatalf("a reload adds slow_start: %s, %s", m.entry(one), m.entry(two))
		}
		m.refuses(two, true)
		m.awaitEntryOfTwo(false)
		m.refuses(two, false)
		m.awaitEntryOfTwo(true)
		m.pass(8 * time.Second)
		m.again() // which takes five seconds
		if left := m.rises("after a kill", 60); left > 8*time.Second {
			t.Errorf("after a kill it took %s", left)
		}
		m.again()
		if m.entry(two) != "100" {
			t.Errorf("after another kill: %s", m.entry(two))
		}
		m.mu.Lock()
		m.hidden = two // the cheap read of a table in several network namespaces may lack entries
		m.mu.Unlock()
		m.again()
		if m.entry(two) != "100" {
			t.Errorf("after a kill, and with a read that lacks it: %s", m.entry(two))
		}
		m.mu.Lock()
		m.hidden = ""
		m.mu.Unlock()
		without := strings.Replace(rising(), ", {weight: 100, name: mysql2, address: "+two+"}", "", 1)
		m.reload(without)
		m.awaitEntryOfTwo(false)
		m.reload(rising())
		m.awaitEntryOfTwo(true)
		m.rises("it is added", 1)
		_ = m.stop()
		m.start(rising())
		if m.entry(two) != "100" {
			t.Errorf("after a stop: %s", m.entry(two))
		}
	})
}
