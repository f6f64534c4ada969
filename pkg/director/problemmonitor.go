package director

import (
	"context"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// lookForProblems is how often the loops are looked at although nobody has said that anything changed.
	lookForProblems = time.Second
	// lookAfter is how long after a change the loops are looked at, which may still be publishing it.
	lookAfter = 20 * time.Millisecond
	// lookShare is how many times as long as a look the pause after it is, so that thousands of real servers that change
	// together do not take the CPU from the elections.
	lookShare = 20
)

// problemMonitor looks at what the loops say of themselves, remembers since when there is which problem, and records what
// has changed: problems, and the states of virtual servers.
type problemMonitor struct {
	registry problem.Registry
	look     func(pools bool) snapshots // pools: with verdicts and the IPVS table, which costs more
	others   func() []problem.Finding   // that the daemon has found
	record   func(event.Event)
	poked    chan struct{} // capacity 1
	ready    task.Latch

	// mu is held from a look to the end of what is made of it, so that an older one never comes after a newer one.
	mu      sync.Mutex
	leaving bool // what changes now is no news
	history problem.History
	pools   []problem.Finding // of the last look with pools,
	unread  string            // as is this
	unknown bool              // and this: something may change without a poke
	states  map[string]string // of virtual servers, by name
}

func newProblemMonitor(look func(pools bool) snapshots, others func() []problem.Finding, record func(event.Event)) *problemMonitor {
	if others == nil {
		others = func() []problem.Finding { return nil }
	}
	return &problemMonitor{
		registry: problem.Declared(), look: look, others: others, record: record, poked: make(chan struct{}, 1), states: map[string]string{},
	}
}

// poke says that something may have changed. It waits for nobody.
func (m *problemMonitor) poke() { wake(m.poked) }

// leave ends the recording, before the loops are stopped.
func (m *problemMonitor) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving = true
}

// Name implements task.Task.
func (m *problemMonitor) Name() string { return "the problem monitor" }

// Ready is closed when the monitor runs.
func (m *problemMonitor) Ready() <-chan struct{} { return m.ready.Ready() }

// Run looks until ctx ends.
func (m *problemMonitor) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	tick := time.NewTicker(lookForProblems)
	defer tick.Stop()
	m.ready.Close()
	for {
		heart.Beat()
		pools := true
		select {
		case <-ctx.Done():
			return nil
		case <-m.poked:
			pause(ctx, lookAfter)
		case <-tick.C:
			m.mu.Lock()
			pools = m.unknown
			m.mu.Unlock()
		}
		begun := time.Now()
		m.examine(pools)
		pause(ctx, min(lookShare*time.Since(begun), lookForProblems))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// examine looks, and returns the status document, all but its head; without pools it is without virtual servers and tracks.
func (m *problemMonitor) examine(pools bool) status.Director {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.look(pools)
	doc := report(s)
	if pools {
		m.pools, m.unread = checked(doc.VirtualServers, doc.Tracks), s.unread
		m.unknown = s.unread != "" || s.table != "" || anyUnknown(doc.VirtualServers)
	}
	s.unread = m.unread
	node := append(m.others(), ofNode(s)...)
	for _, f := range node {
		doc.Problems = append(doc.Problems, f.Text)
	}
	found := append(faults(doc.Instances), m.pools...)
	doc.ProblemDetails = m.registry.Report(append(found, node...))
	// What a start finds before its checks are done is how it begins, and no news.
	news := s.checked && !m.leaving
	if pools && news {
		m.compare(doc.VirtualServers)
	}
	raised, cleared := m.history.Look(time.Now(), doc.ProblemDetails, news)
	for _, e := range problem.Events(raised, cleared) {
		m.record(e)
	}
	return doc
}

// compare records the virtual servers whose state is another one.
func (m *problemMonitor) compare(servers []status.VirtualServer) {
	now := make(map[string]string, len(servers))
	for _, v := range servers {
		before, known := m.states[v.Name]
		if !known {
			before = event.Unknown
		}
		if before != v.State {
			m.record(event.Event{Kind: event.VirtualServerState, Subject: v.Name, From: before, To: v.State, Reason: v.Reason})
		}
		now[v.Name] = v.State
	}
	m.states = now
}

func anyUnknown(servers []status.VirtualServer) bool {
	for _, v := range servers {
		for _, r := range v.RealServers {
			if r.State == "unknown" {
				return true
			}
		}
	}
	return false
}
