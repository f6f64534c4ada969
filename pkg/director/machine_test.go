package director

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// remembers sets the number of connections that connection tracking remembers, of 1000.
func (k *fakeKernel) remembers(count int) {
	k.set("net/netfilter/nf_conntrack_count", fmt.Sprint(count))
	k.set("net/netfilter/nf_conntrack_max", "1000")
}

func machineCases() []codesCase {
	return []codesCase{
		{Case: problemtest.Case[*node]{
			Code:  problem.ConntrackFull,
			Break: func(n *node) { n.remembers(996) }, Mend: func(n *node) { n.remembers(500) },
		}},
		{Case: problemtest.Case[*node]{
			Code:  problem.ConntrackNearlyFull,
			Break: func(n *node) { n.remembers(905) }, Mend: func(n *node) { n.remembers(500) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code:  problem.ConnectionTableSmall,
			Break: func(n *node) { n.connected(one, 100_000) }, Mend: func(n *node) { n.connected(one, 100) },
		}},
	}
}

// TestTracked: a number that moves about a limit does not make the problem come and go.
func TestTracked(t *testing.T) {
	k := newFakeKernel()
	m := answerMonitor{kernel: k}
	for _, step := range []struct {
		count int
		code  problem.Code
	}{
		{899, ""},
		{900, problem.ConntrackNearlyFull},
		{860, problem.ConntrackNearlyFull},
		{849, ""},
		{860, ""},
		{990, problem.ConntrackFull},
		{951, problem.ConntrackFull},
		{949, problem.ConntrackNearlyFull},
		{989, problem.ConntrackNearlyFull},
		{1003, problem.ConntrackFull},
		{0, ""},
	} {
		k.remembers(step.count)
		found, code := m.tracked(), problem.Code("")
		m.found.Store(&found)
		if len(found) > 0 {
			code = found[0].Code
		}
		if code != step.code {
			t.Errorf("%d: %q, want %q", step.count, code, step.code)
		}
	}
}

// TestChecksWhileTrackingIsFull: a check without an answer says nothing about its server while this machine drops packets of new
// connections. One that is refused was answered.
func TestChecksWhileTrackingIsFull(t *testing.T) {
	for name, c := range map[string]struct {
		count int
		code  health.Code
		up    bool
	}{
		"full":              {1000, health.Timeout, true},
		"entries are freed": {950, health.Timeout, true},
		"nearly full":       {949, health.Timeout, false},
		"refused":           {1000, health.Refused, false},
	} {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				m.start(codesFile)
				m.remembers(c.count)
				m.answer(one, health.Result{Code: c.code, Class: health.Bad, Cause: "tcp: failed"})
				m.pass(5 * time.Second)
				r := m.Status().VirtualServers[0].RealServers[0]
				if up := r.State == "up"; up != c.up || up != strings.Contains(r.Reason, "connection tracking of this director is full (") {
					t.Errorf("%s %s", r.State, r.Reason)
				}
			})
		})
	}
}
