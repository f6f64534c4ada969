package director

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// lookAtLoops is how often the loops are examined.
const lookAtLoops = time.Second

// releaseFrom is how long an election must have stalled at least before its VIPs are released, however short their lease is.
const releaseFrom = 2 * lookAtLoops

// stallMonitor detects stalled loops. It notifies the elections directly, because the director's own goroutine may be
// the one that hangs.
type stallMonitor struct {
	heartbeats *heartbeat.Set
	elections  func() map[config.InstanceID]candidate
	log        *slog.Logger

	ready   task.Latch
	problem task.Published[string]
	last    string // the last problem found
	// told is the problem that each election was told, if it was told one, keyed by signal, because a reload may start another
	// election with the same name.
	told map[*heartbeat.Signal]string
}

// candidate is the part of an instance that a stall monitor needs.
type candidate struct {
	heart   *heartbeat.Signal
	lease   time.Duration
	stalled func(problem string) bool
	release func()
}

func newStallMonitor(heartbeats *heartbeat.Set, elections func() map[config.InstanceID]candidate, log *slog.Logger) *stallMonitor {
	return &stallMonitor{heartbeats: heartbeats, elections: elections, log: log, told: map[*heartbeat.Signal]string{}}
}

// Name implements task.Task.
func (m *stallMonitor) Name() string { return "the stall monitor" }

// Ready is closed when the monitor is running.
func (m *stallMonitor) Ready() <-chan struct{} { return m.ready.Ready() }

// Snapshot describes the stalled loops; "" if there are none.
func (m *stallMonitor) Snapshot() string { return m.problem.Load() }

// Run examines the loops until ctx ends.
func (m *stallMonitor) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	monitor, look := heartbeat.NewMonitor(m.heartbeats), heartbeat.NewTicker(lookAtLoops)
	defer look.Stop()
	m.ready.Close()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		heart.Beat()
		lived := min(time.Since(last), 2*lookAtLoops)
		last = time.Now()
		if problem := m.judge(monitor.Look(lived), m.elections); problem != m.problem.Load() {
			m.problem.Set(problem)
		}
	}
}

// judge acts on the state of the loops and returns the problem, "" if there is none.
func (m *stallMonitor) judge(loops []heartbeat.Idle, elections func() map[config.InstanceID]candidate) string {
	var stalled []string
	slow := false
	for _, loop := range loops {
		slow = slow || loop.For >= releaseFrom
		if loop.For >= heartbeat.StalledAfter {
			stalled = append(stalled, loop.Name)
		}
	}
	problem := ""
	if len(stalled) > 0 {
		problem = fmt.Sprintf("%s made no progress for %s (a bug, or a kernel that does not answer; a restart helps)", strings.Join(stalled, " and "), heartbeat.StalledAfter)
	}
	switch {
	case problem != "" && problem != m.last:
		m.log.Error("a loop has stalled; the instances go to FAULT so that another director takes over", "problem", problem)
	case problem == "" && m.last != "":
		m.log.Info("the loops make progress again")
	}
	m.last = problem
	if slow || problem != "" || len(m.told) > 0 { // otherwise, as nearly always, there is nothing to say to hundreds of elections
		m.tell(problem, loops, elections())
	}
	return problem
}

// tell tells the elections a problem, "" if there is none any more, and releases the VIPs of those that have stalled themselves.
func (m *stallMonitor) tell(problem string, loops []heartbeat.Idle, elections map[config.InstanceID]candidate) {
	idle := make(map[*heartbeat.Signal]time.Duration, len(loops))
	for _, loop := range loops {
		idle[loop.Signal] = loop.For
	}
	told := map[*heartbeat.Signal]string{}
	for _, e := range elections {
		last := m.told[e.heart]
		switch {
		case idle[e.heart] >= max(e.lease, releaseFrom):
			// It sends no adverts, so another director has taken over the VIPs by now.
			e.release()
		case last != problem && e.stalled(problem):
			last = problem
		}
		if last != "" {
			told[e.heart] = last
		}
	}
	m.told = told
}
