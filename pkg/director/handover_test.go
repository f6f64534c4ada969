package director

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// pairOf is a cluster file with another director, whose address m answers for if alive.
func pairOf(m *machine, alive bool, more string) string {
	if alive {
		m.answer("10.77.0.3", health.Result{Code: health.OK, Class: health.Good})
	}
	return strings.Replace(electing, "vrrp_instances:", more+"vrrp_instances:", 1) + router("a", "eth0", 51, vip)
}

// TestStopHandsOver: a stop waits for a successor if another director is there, and nothing else takes longer.
func TestStopHandsOver(t *testing.T) {
	for _, tt := range []struct {
		name        string
		alive       bool
		more        string
		hurry       time.Duration
		least, most time.Duration
	}{
		{"nobody is there", false, "", 0, 0, time.Second},
		{"nobody takes over", true, "", 0, 1400 * time.Millisecond, 1800 * time.Millisecond},
		{"stop_timeout", true, "stop_timeout: 1s\n", 0, time.Second, 1300 * time.Millisecond},
		{"no handover", true, "stop_timeout: 0s\n", 0, 0, 100 * time.Millisecond},
		{"a second signal", true, "", 500 * time.Millisecond, 500 * time.Millisecond, 800 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				o, hurry := m.options(pairOf(m, tt.alive, tt.more)), make(chan struct{})
				o.Hurry = hurry
				m.runs(o)
				m.pass(9 * time.Second)
				if got := m.state("a"); got != "MASTER" {
					t.Fatalf("%s after the start", got)
				}
				if tt.hurry > 0 {
					time.AfterFunc(tt.hurry, func() { close(hurry) })
				}
				begun := time.Now()
				if err := m.stop(); err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took < tt.least || took > tt.most {
					t.Errorf("the stop took %s, want %s to %s", took, tt.least, tt.most)
				}
			})
		})
	}
}

// TestFailOver: what cannot be handed over is refused, with the reason; a handover without a successor is an error.
func TestFailOver(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(pairOf(m, false, "") + "sync_groups: [{name: all, instances: [a]}]\n")
		try := func(name string, release bool, want string) {
			t.Helper()
			done, err := m.FailOver(t.Context(), name, release)
			if err != nil {
				done = err.Error()
			}
			if !strings.Contains(done, want) {
				t.Errorf("%s, release %t: %q, want %q", name, release, done, want)
			}
		}
		try("b", false, "no VRRP instance or sync group b here: the instances are a")
		try("a", true, "a has not been handed over")
		try("a", false, "no other director answers")
		m.answer("10.77.0.3", health.Result{Code: health.OK, Class: health.Good})
		try("all", false, "no other director took all over, and this one has become MASTER again")
		m.carrier(false)
		m.pass(time.Second)
		try("a", false, "a is not MASTER here (FAULT: ")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	})
}
