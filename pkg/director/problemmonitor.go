package director

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// lookForProblems is how often the loops are examined without a notification of a change.
	lookForProblems = time.Second
	// lookAfter is the delay between a notification and the examination, because the loops may still be publishing the
	// change.
	lookAfter = 20 * time.Millisecond
	// lookShare is the ratio of the pause after an examination to its duration, so that thousands of real servers that
	// change at once do not take the CPU from the elections.
	lookShare = 20
)

// problemMonitor examines the published states of the loops, keeps track of when each problem began, and records
// changes of problems and of the states of virtual servers.
type problemMonitor struct {
	registry problem.Registry
	look     func(depth) snapshots
	others   func() []problem.Finding // problems found by the rest of the daemon
	record   func(event.Event)
	poked    chan struct{} // capacity 1
	ready    task.Latch
	found    atomic.Pointer[[]problem.Problem] // by the last examination

	// mu is held from the query of the loops until the result is recorded, so that an older result never follows a
	// newer one.
	mu      sync.Mutex
	leaving bool // changes are no longer recorded
	history problem.History
	file    *config.Config    // whose names the history has
	pools   []problem.Finding // from the last examination with pools
	unread  string            // why the last read of the kernel's table failed; "" if it did not
	states  map[string]string // of virtual servers, by protocol, address and port
}

func newProblemMonitor(look func(depth) snapshots, others func() []problem.Finding, record func(event.Event)) *problemMonitor {
	if others == nil {
		others = func() []problem.Finding { return nil }
	}
	return &problemMonitor{
		registry: problem.Declared(), look: look, others: others, record: record, poked: make(chan struct{}, 1), states: map[string]string{},
	}
}

// poke notifies the monitor that something may have changed. It does not block.
func (m *problemMonitor) poke() { wake(m.poked) }

// leave stops the recording of changes, before the loops are stopped.
func (m *problemMonitor) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving = true
}

// Name implements task.Task.
func (m *problemMonitor) Name() string { return "the problem monitor" }

// Ready is closed when the monitor is running.
func (m *problemMonitor) Ready() <-chan struct{} { return m.ready.Ready() }

// Run examines the loops until ctx ends.
func (m *problemMonitor) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	tick := heartbeat.NewTicker(lookForProblems)
	defer tick.Stop()
	m.ready.Close()
	var rested time.Time // when the pause after the last examination is over
	for {
		heart.Beat()
		much := nodeOnly
		select {
		case <-ctx.Done():
			return nil
		case <-m.poked:
			much = withPools
			task.Pause(ctx, max(time.Until(rested), lookAfter))
		case <-tick.C:
			if time.Now().Before(rested) {
				continue
			}
		}
		begun := time.Now()
		m.examine(much)
		rested = time.Now().Add(min(lookShare*time.Since(begun), lookForProblems))
	}
}

// examine queries the loops and returns the status document without its header fields; with nodeOnly it has no virtual
// servers and tracks. After a read of the kernel's table that failed, the next examination repeats it.
func (m *problemMonitor) examine(much depth) status.Director {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unread != "" {
		much = withCounters
	}
	s := m.look(much)
	if m.file != nil && m.file != s.plan.Config {
		if !s.pools { // the problems of the last examination have the old names
			s = m.look(max(much, withPools))
		}
		m.history.Rename(config.Renamed(m.file, s.plan.Config))
	}
	m.file = s.plan.Config
	var doc status.Director
	if much > nodeOnly || s.pools { // otherwise nobody reads it
		doc = report(s)
	}
	if s.pools {
		m.pools = append(checked(doc.VirtualServers, doc.Tracks), slices.Concat(unreachable(s.plan), allFail(s.plan), overrideProblems(s, time.Now()), maintenanceProblems(s.maintenance), refusingProblems(s))...)
	}
	if much == withCounters {
		m.unread = s.unread
	}
	node := append(m.others(), ofNode(s)...)
	for _, f := range node {
		doc.Problems = append(doc.Problems, f.Text)
	}
	found := append(faults(s), m.pools...)
	doc.ProblemDetails = m.registry.Report(append(found, node...))
	// The states before the first checks are done are the initial states, not changes.
	news := s.checked && !m.leaving
	if s.pools && news {
		m.compare(doc.VirtualServers)
	}
	raised, cleared := m.history.Look(time.Now(), doc.ProblemDetails, news)
	m.found.Store(&doc.ProblemDetails)
	for _, e := range problem.Events(raised, cleared) {
		m.record(e)
	}
	return doc
}

// compare records the virtual servers whose state has changed.
func (m *problemMonitor) compare(servers []status.VirtualServer) {
	now := make(map[string]string, len(servers))
	for _, v := range servers {
		id := fmt.Sprintf("%s %s:%d %d", v.Protocol, v.Address, v.Port, v.FirewallMark) // the name may change
		before, known := m.states[id]
		if !known {
			before = event.Unknown
		}
		state := v.State
		if v.ChecksSuspended {
			state = event.Unknown
		}
		if before != state {
			m.record(event.Event{Kind: event.VirtualServerState, Subject: v.Name, From: before, To: state, Reason: v.Reason})
		}
		now[id] = state
	}
	m.states = now
}
