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
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// standsAfter is how long a loop may go without a turn. Every conversation of a loop has a deadline that is far
	// shorter, so that it is longer only when something hangs that must not.
	standsAfter = 30 * time.Second
	// lookAtLoops is how often the loops are looked at.
	lookAtLoops = time.Second
)

// stallMonitor looks for loops that stand still. It talks to the elections directly: the director's own goroutine may be
// the one that hangs.
type stallMonitor struct {
	heartbeats *heartbeat.Set
	elections  func() map[config.InstanceID]candidate
	log        *slog.Logger

	ready   task.Latch
	problem task.Published[string]
	last    string                       // the problem found last
	told    map[*heartbeat.Signal]string // what each election was told; a reload may put another one in the place of a name
}

// candidate is what a stall monitor needs of an instance.
type candidate struct {
	heart   *heartbeat.Signal
	lease   time.Duration
	offer   func(vrrp.Event) bool
	release func()
}

func newStallMonitor(heartbeats *heartbeat.Set, elections func() map[config.InstanceID]candidate, log *slog.Logger) *stallMonitor {
	return &stallMonitor{heartbeats: heartbeats, elections: elections, log: log, told: map[*heartbeat.Signal]string{}}
}

// Name implements task.Task.
func (m *stallMonitor) Name() string { return "the stall monitor" }

// Ready is closed when the monitor runs.
func (m *stallMonitor) Ready() <-chan struct{} { return m.ready.Ready() }

// Snapshot is what is wrong with the loops, as a sentence; "" for nothing.
func (m *stallMonitor) Snapshot() string { return m.problem.Load() }

// Run looks until ctx ends.
func (m *stallMonitor) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	monitor, look := heartbeat.NewMonitor(m.heartbeats), time.NewTicker(lookAtLoops)
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
		if problem := m.judge(monitor.Look(lived), m.elections()); problem != m.problem.Load() {
			m.problem.Set(problem)
		}
	}
}

// judge acts on what a look found and returns what is wrong.
func (m *stallMonitor) judge(loops []heartbeat.Idle, elections map[config.InstanceID]candidate) string {
	var standing []string
	idle := make(map[*heartbeat.Signal]time.Duration, len(loops))
	for _, loop := range loops {
		idle[loop.Signal] = loop.For
		if loop.For >= standsAfter {
			standing = append(standing, loop.Name)
		}
	}
	problem := ""
	if len(standing) > 0 {
		problem = fmt.Sprintf("%s made no progress for %s (a bug, or a kernel that does not answer; a restart helps)", strings.Join(standing, " and "), standsAfter)
	}
	switch {
	case problem != "" && problem != m.last:
		m.log.Error("a loop stands still; a director that is alive shall take over", "problem", problem)
	case problem == "" && m.last != "":
		m.log.Info("the loops move again")
	}
	m.last = problem
	told := make(map[*heartbeat.Signal]string, len(elections))
	for _, e := range elections {
		told[e.heart] = m.told[e.heart]
		switch {
		case idle[e.heart] >= max(e.lease, 2*lookAtLoops):
			// It sends no adverts, and another one has the VIPs by now.
			e.release()
		case told[e.heart] != problem && e.offer(vrrp.Degraded{Reason: problem}):
			told[e.heart] = problem
		}
	}
	m.told = told
	return problem
}
