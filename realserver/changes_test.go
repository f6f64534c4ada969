package realserver

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// expectEvents compares the events recorded since its last call.
func (m *machine) expectEvents(when string, want ...string) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var got []string
	for _, e := range m.events {
		got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s %s: %s -> %s %s", e.Kind, e.Subject, e.From, e.To, e.Code)), " "))
	}
	m.events = nil
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("%s (-want +recorded):\n%s", when, diff)
	}
}

func (m *machine) record(e event.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

// TestEvents: changes of virtual servers and problems are recorded once; those during start and shutdown are not.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.expectEvents("the start", "virtual_server_state dr: unknown -> up")
		m.failing("ip addr replace", errors.New("no buffers"))
		m.foreignDel(onLo)
		m.settle()
		m.expectEvents(
			"the VIP cannot be added again", "virtual_server_state dr: up -> down", "problem_raised dr: -> CRITICAL not_serving", "problem_raised : -> WARNING repair_failed",
		)
		s := m.agent.Snapshot()
		if len(s.ProblemDetails) != 2 || s.ProblemDetails[0].Severity != problem.Critical || s.ProblemDetails[0].Since.IsZero() || len(s.Problems) != 1 {
			t.Errorf("problems: %+v, %q", s.ProblemDetails, s.Problems)
		}
		m.failing("ip addr replace", nil)
		m.settle()
		m.expectEvents(
			"it is back", "virtual_server_state dr: down -> up", "problem_cleared dr: CRITICAL -> not_serving", "problem_cleared : WARNING -> repair_failed",
		)
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expectEvents("the end")
	})
}

// TestCodesOfFindings: every finding of the agent has a code, and nothing is reported twice.
func TestCodesOfFindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name     string
			forward  config.Forward
			links    []addr.Link
			problems []problem.Finding // of the surrounding daemon
			want     string
		}{
			{"all is well", config.DR, []addr.Link{lo, eth0}, nil, ""},
			{"no tunnel", config.TUN, []addr.Link{lo, eth0}, nil, "CRITICAL device_missing tunl0"},
			{"no gateway", config.NAT, []addr.Link{lo, eth0}, nil, "CRITICAL answers_miss_director nat"},
			{"a reload was refused", config.DR, []addr.Link{lo, eth0}, []problem.Finding{{Code: problem.ReloadRefused}}, "WARNING reload_refused "},
		} {
			m := newMachine(t, tt.links...)
			m.others = tt.problems
			m.start(cluster(tt.forward))
			var got []string
			for _, p := range m.agent.Snapshot().ProblemDetails {
				got = append(got, fmt.Sprintf("%s %s %s", p.Severity, p.Code, p.Subject))
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
			_ = m.stop()
		}
		held := failures{errors.New("no buffers"), notAdded{onLo, "arp_ignore is 0"}}.found(Desired(cluster(config.DR), nil, node))
		if held[0].Code != problem.RepairFailed || held[1].Code != problem.VIPHeldBack || held[1].Related[0] != "dr" {
			t.Errorf("%+v", held)
		}
	})
}
