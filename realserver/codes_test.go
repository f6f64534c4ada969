package realserver

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// codesCase is a case on a real server.
type codesCase struct {
	problemtest.Case[*machine]
	// Forward is that of its virtual server; "" means DR.
	Forward config.Forward
	// Starting: the fault concerns the start, which Break does.
	Starting bool
}

// codesCases has a case for every declared code of the agent. A new code needs one. Faults are on the fake kernel
// (fake_test.go), which shows them as the kernel does; if that is not possible, name a scenario.
func codesCases() []codesCase {
	return slices.Concat(addressCases(), filterCases(), agentCases())
}

func addressCases() []codesCase {
	onCard := addr.Address{Interface: "eth0", Prefix: netip.MustParsePrefix(vip + "/24"), Global: true}
	wide := addr.Address{Interface: "lo", Prefix: netip.MustParsePrefix(vip + "/24"), Global: true}
	own := addr.Address{Interface: "eth0", Prefix: netip.MustParsePrefix(rip + "/24"), Global: true}
	return []codesCase{
		{Case: problemtest.Case[*machine]{
			Code: problem.NotServing, Subject: "dr", Beside: []problem.Code{problem.RepairFailed},
			Break: func(m *machine) { m.failing("ip addr replace", errors.New("no buffers")); m.foreignDel(onLo) },
			Mend:  func(m *machine) { m.failing("ip addr replace", nil) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.VIPAnswersARP, Subject: "eth0 10.77.0.100/24",
			Break: func(m *machine) { m.address(onCard, true) },
			Mend:  func(m *machine) { m.address(onCard, false) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.NotListening, Subject: "dr",
			Break: func(m *machine) { m.listensOn(rip + ":3306") },
			Mend:  func(m *machine) { m.listensOn("0.0.0.0:3306") },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.VIPTooWide, Subject: "lo 10.77.0.100/24",
			Break: func(m *machine) { m.address(wide, true) },
			Mend:  func(m *machine) { m.address(wide, false) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.VIPHeldBack, Subject: "lo 10.77.0.100/32", Beside: []problem.Code{problem.RepairFailed},
			Break: func(m *machine) {
				m.failing("sysctl", errors.New("read-only"))
				m.foreignSet(allIgnore, "0")
				m.foreignSet(eth0Ignore, "0")
				m.foreignDel(onLo)
			},
			Mend: func(m *machine) { m.failing("sysctl", nil) },
		}},
		{Forward: config.TUN, Case: problemtest.Case[*machine]{
			Code: problem.DeviceMissing, Subject: "tunl0",
			Break: func(m *machine) { m.unplug("tunl0") },
			Mend:  func(m *machine) { m.plug(tunl0) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.OwnAddressMissing, Subject: node,
			Break: func(m *machine) { m.address(own, false) },
			Mend:  func(m *machine) { m.address(own, true) },
		}},
		{Forward: config.NAT, Case: problemtest.Case[*machine]{
			Code: problem.AnswersMissDirector, Subject: "nat",
			Break: func(m *machine) { m.leadThrough("10.77.0.254") },
			Mend:  func(m *machine) { m.leadThrough("10.78.0.1") },
		}},
	}
}

func agentCases() []codesCase {
	return []codesCase{
		{Case: problemtest.Case[*machine]{
			Code: problem.RepairFailed,
			Break: func(m *machine) {
				m.failing("sysctl", errors.New("read-only"))
				m.foreignSet(allAnnounce, "1")
			},
			Mend: func(m *machine) { m.failing("sysctl", nil) },
		}},
		{Case: problemtest.Case[*machine]{
			Code:  problem.NodeNotInFile,
			Break: func(m *machine) { m.reload(cluster()) },
			Mend:  func(m *machine) { m.reload(cluster(config.DR)) },
		}},
		{Case: problemtest.Case[*machine]{
			Code:  problem.StateNotSaved,
			Break: func(m *machine) { m.stateFile(false) },
			Mend:  func(m *machine) { m.stateFile(true) },
		}},
		{Starting: true, Case: problemtest.Case[*machine]{
			Code: problem.DaemonStarting,
			Break: func(m *machine) {
				m.stuck = make(chan struct{})
				m.start(cluster(config.DR))
			},
			Mend: func(m *machine) { close(m.stuck) },
		}},
	}
}

// TestProblemCodes breaks each thing: the problem code appears within 5 s or three intervals, stays, and goes away
// likewise after the repair.
func TestProblemCodes(t *testing.T) {
	var cases []problemtest.Case[*machine]
	for _, c := range codesCases() {
		cases = append(cases, c.Case)
	}
	problemtest.Complete(t, problem.Agent, "realserver/codes_test.go", cases)
	for _, c := range codesCases() {
		if c.Scenario != "" {
			problemtest.InScenario(t, "../e2e", c.Scenario, c.Code)
			continue
		}
		t.Run(c.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, lo, eth0, tunl0)
				m.leadThrough("10.78.0.1")
				if !c.Starting {
					forward := c.Forward
					if forward == "" {
						forward = config.DR
					}
					m.start(cluster(forward))
					if found := m.agent.Snapshot().ProblemDetails; len(found) > 0 {
						t.Fatalf("a healthy real server has problems: %+v", found)
					}
				}
				c.Try(t, m, func() []problem.Problem { return m.agent.Snapshot().ProblemDetails }, m.pass)
			})
		})
	}
}

// address adds or removes an address, as another process does.
func (m *machine) address(a addr.Address, present bool) {
	m.mu.Lock()
	m.drop(a.Interface, a.Prefix)
	if present {
		m.addresses = append(m.addresses, a)
	}
	m.mu.Unlock()
	m.tell()
}

func (m *machine) reload(cfg *config.Config) {
	m.t.Helper()
	m.next, m.err = cfg, nil
	if err := m.agent.Reload(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// stateFile makes the state file impossible to write, or possible again: a directory is in its place.
func (m *machine) stateFile(writable bool) {
	path := filepath.Join(m.dir, stateFile)
	if err := os.RemoveAll(path); err != nil {
		m.t.Fatal(err)
	}
	if !writable {
		if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
			m.t.Fatal(err)
		}
	}
}
