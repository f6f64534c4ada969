package director

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// pairOf is a cluster file with another director, whose address m answers for if alive.
func pairOf(m *machine, alive bool, more string) string {
	if alive {
		m.answer("10.77.0.3", health.Result{Code: health.OK, Class: health.Good})
	}
	return strings.Replace(electing, "vrrp_instances:", more+"vrrp_instances:", 1) + router("a", "eth0", 51, vip)
}

func handoverCases() []codesCase {
	return []codesCase{{On: "MASTER", Case: problemtest.Case[*node]{
		Code: problem.HandoverForgotten, Subject: "a", After: forgottenAfter,
		Break: func(n *node) {
			n.handOver("a")
			n.pass(500 * time.Millisecond)
			n.hear("successor", 10, "10.77.0.3", 51, 50)
		},
		Mend: func(n *node) {
			if done, err := n.FailOver(n.t.Context(), "a", true, "root"); err != nil {
				n.t.Errorf("%s, %v", done, err)
			}
			n.silence("successor")
		},
	}}}
}

// handOver begins a handover as lvsctl failover does.
func (n *node) handOver(instance string) {
	members, err := n.loops.Load().instances.named(instance, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	members[0].actor.HandOver(vrrp.HandOver{Reason: "lvsctl failover"})
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

// TestStopAfterAPreemption: a director that has just been preempted, and is stopped, keeps its VIPs for the second that its
// successor may take to announce them.
func TestStopAfterAPreemption(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(pairOf(m, true, ""))
		n := newNode(m)
		defer n.end()
		n.hear("better", 10, "10.77.0.3", 51, 200)
		m.pass(50 * time.Millisecond)
		if got := m.state("a"); got != "BACKUP" {
			t.Fatalf("%s beside a better one", got)
		}
		begun := time.Now()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took < 900*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("the stop took %s, want a second", took)
		}
	})
}

// TestFailOver: what cannot be handed over is refused, with the reason; a handover without a successor is an error.
func TestFailOver(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(pairOf(m, false, "") + "sync_groups: [{name: all, instances: [a]}]\n")
		try := func(name string, release bool, want string) {
			t.Helper()
			done, err := m.FailOver(t.Context(), name, release, "root")
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
		try("all", false, "nobody took all over, and this director is MASTER as before (MASTER: ")
		try("all", true, "all has not been handed over")
		m.history()
		m.pass(time.Second)
		m.expect("after that")
		time.AfterFunc(500*time.Millisecond, func() { m.carrier(false) })
		try("a", false, "a is not MASTER here any more, and has not been handed over (FAULT: ")
		m.carrier(true)
		m.pass(2 * time.Second)
		time.AfterFunc(500*time.Millisecond, func() { m.reload(electing + router("b", "eth1", 52, "10.78.0.100")) })
		try("a", false, "a has been stopped during the handover")
		m.reload(pairOf(m, true, ""))
		m.pass(2 * time.Second)
		m.carrier(false)
		m.pass(time.Second)
		try("a", false, "a is not MASTER here (FAULT: ")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestFailOverDeadline: the command does not wait longer for a handover than one takes, whatever the election does.
func TestFailOverDeadline(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(pairOf(m, true, ""))
		members, err := m.loops.Load().instances.named("a", nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now() // of a handover that the election has not begun
		done, err := m.awaitFailOver(t.Context(), "a", members)
		within := members[0].wanted.Params.HandOverWithin()
		if want := "the handover of a has not ended within " + within.String(); done != "" || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q, %v, want %q", done, err, want)
		}
		if took := time.Since(begun); took != within {
			t.Errorf("it took %s, want %s", took, within)
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestImpatientStop: a second signal and a shutdown of the machine end the wait for hooks and for handovers; until the end
// problems are recorded.
func TestImpatientStop(t *testing.T) {
	for _, hooks := range []string{"", "notify: [{on: [pre_stop], command: [/pre]}]\n"} {
		for _, shutdown := range []bool{false, true} {
			world(t, func(t *testing.T, m *machine) {
				o, hurry := m.options(pairOf(m, true, hooks)), make(chan struct{})
				o.Hurry, m.hookTime = hurry, time.Hour
				failed := false
				o.Problems = func() (all []problem.Finding) {
					if failed {
						all = append(all, problem.Finding{Code: problem.HookFailed, Subject: "x", Text: "x"})
					}
					return all
				}
				m.runs(o)
				m.pass(9 * time.Second)
				m.happened()
				failed = true
				if shutdown {
					m.shutsDown = 1200 * time.Millisecond
				} else {
					time.AfterFunc(1200*time.Millisecond, func() { close(hurry) })
				}
				begun := time.Now()
				if err := m.stop(); err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took < 1200*time.Millisecond || took > 1300*time.Millisecond {
					t.Errorf("hooks %q, shutdown %t: the stop took %s", hooks, shutdown, took)
				}
				if got := m.happened(); !slices.Contains(got, "problem_raised x: -> WARNING hook_failed") {
					t.Errorf("hooks %q, shutdown %t: %q", hooks, shutdown, got)
				}
			})
		}
	}
}
