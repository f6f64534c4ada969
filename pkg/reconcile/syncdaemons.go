package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// SyncDaemonKernel starts and stops the synchronization daemons of IPVS. It is used by one goroutine at a time.
type SyncDaemonKernel interface {
	List(ctx context.Context) ([]kernel.SyncDaemon, error)
	Start(ctx context.Context, d kernel.SyncDaemon) error
	Stop(ctx context.Context, role kernel.SyncRole) error
}

// SyncDaemonRecords stores which daemons were started, at most one of each role. After an error they are in memory only.
type SyncDaemonRecords interface {
	SyncDaemons() []kernel.SyncDaemon
	RecordSyncDaemon(d kernel.SyncDaemon) error
	ForgetSyncDaemon(role kernel.SyncRole) error
}

// SyncDaemonOptions are the dependencies of SyncDaemons; all are required.
type SyncDaemonOptions struct {
	Kernel  SyncDaemonKernel
	Records SyncDaemonRecords
	// Saved is called with the result of each write of the records.
	Saved func(error)
	Log   *slog.Logger
}

// SyncDaemons is the loop that keeps the synchronization daemons of IPVS. One that another program has started is never
// stopped: if it is as wanted it is used, otherwise it is a problem. Set and Problems may be called from any goroutine.
type SyncDaemons struct {
	o     SyncDaemonOptions
	dirty chan struct{}
	ready task.Latch

	mu       sync.Mutex // guards want and problems
	want     []SyncDaemonWanted
	problems map[kernel.SyncRole]SyncDaemonProblem

	bound map[kernel.SyncRole]string // Bound at the start of each of ours; used only by the goroutine of Run
}

// SyncDaemonWanted is a daemon that is wanted.
type SyncDaemonWanted struct {
	kernel.SyncDaemon
	// Bound is what the daemon is bound to from its start on, besides its settings. If it changes, the daemon is started
	// again.
	Bound string
}

// SyncDaemonProblem is why the daemon of a role is not as wanted.
type SyncDaemonProblem struct {
	Wanted  kernel.SyncDaemon
	Foreign *kernel.SyncDaemon // that of another program, which is in the way; nil: none
	Text    string
}

const (
	// syncDaemonsEvery is how often the daemons are looked at; the kernel sends no events about them.
	syncDaemonsEvery = time.Second
	// syncDaemonsWithin limits one call, in which the kernel may wait for a thread to end.
	syncDaemonsWithin = 5 * time.Second
)

// NewSyncDaemons makes the loop; no daemon is wanted yet.
func NewSyncDaemons(o SyncDaemonOptions) *SyncDaemons {
	return &SyncDaemons{
		o: o, dirty: make(chan struct{}, 1), problems: map[kernel.SyncRole]SyncDaemonProblem{}, bound: map[kernel.SyncRole]string{},
	}
}

// Set makes these the wanted daemons, at most one of each role. It does not wait for the kernel.
func (s *SyncDaemons) Set(want []SyncDaemonWanted) {
	s.mu.Lock()
	s.want = slices.Clone(want)
	s.mu.Unlock()
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// Name implements task.Task.
func (s *SyncDaemons) Name() string { return "the synchronization daemon loop" }

// Ready is closed when the loop is running.
func (s *SyncDaemons) Ready() <-chan struct{} { return s.ready.Ready() }

// Problems returns what is not as wanted, by role.
func (s *SyncDaemons) Problems() []SyncDaemonProblem {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []SyncDaemonProblem
	for _, role := range slices.Sorted(maps.Keys(s.problems)) {
		all = append(all, s.problems[role])
	}
	return all
}

// Run keeps the daemons until ctx ends. It returns nil.
func (s *SyncDaemons) Run(ctx context.Context) error {
	tick := heartbeat.NewTicker(syncDaemonsEvery)
	defer tick.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	s.ready.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.dirty:
		}
		heart.Beat()
		s.pass(ctx, heart)
	}
}

// Withdraw stops every daemon of ours, after Run has ended.
func (s *SyncDaemons) Withdraw(ctx context.Context) error {
	s.Set(nil)
	s.pass(ctx, nil)
	var failed []error
	for _, p := range s.Problems() {
		failed = append(failed, errors.New(p.Text))
	}
	return errors.Join(failed...)
}

func (s *SyncDaemons) pass(ctx context.Context, heart *heartbeat.Signal) {
	s.mu.Lock()
	want := s.want
	s.mu.Unlock()
	recorded := map[kernel.SyncRole]kernel.SyncDaemon{}
	for _, d := range s.o.Records.SyncDaemons() {
		recorded[d.Role] = d
	}
	if len(want) == 0 && len(recorded) == 0 {
		s.report(nil)
		return
	}
	running := map[kernel.SyncRole]kernel.SyncDaemon{}
	err := s.call(ctx, func(ctx context.Context) error {
		all, err := s.o.Kernel.List(ctx)
		for _, d := range all {
			running[d.Role] = d
		}
		return err
	})
	found := map[kernel.SyncRole]SyncDaemonProblem{}
	for _, role := range kernel.SyncRoles {
		w, wanted := wantedOf(want, role)
		r := syncRole{role: role, want: w, wanted: wanted, bound: s.bound[role]}
		r.have, r.runs = running[role]
		r.record, r.recorded = recorded[role]
		switch failed := err; {
		case failed == nil:
			if failed = s.settle(ctx, r); failed == nil {
				continue
			}
			fallthrough
		case wanted || r.recorded:
			p := SyncDaemonProblem{Wanted: w.SyncDaemon, Text: failed.Error()}
			if errors.Is(failed, errSyncForeign) {
				p.Foreign = &r.have
			}
			found[role] = p
		}
		heart.Beat()
	}
	s.report(found)
}

func wantedOf(all []SyncDaemonWanted, role kernel.SyncRole) (SyncDaemonWanted, bool) {
	at := slices.IndexFunc(all, func(w SyncDaemonWanted) bool { return w.Role == role })
	if at < 0 {
		return SyncDaemonWanted{}, false
	}
	return all[at], true
}

// syncRole is what is known of the daemon of one role.
type syncRole struct {
	role     kernel.SyncRole
	want     SyncDaemonWanted
	have     kernel.SyncDaemon // that runs
	record   kernel.SyncDaemon // that was started by us
	bound    string            // to what it is bound; "": not known
	wanted   bool
	runs     bool
	recorded bool
}

// syncStep is what has to be done about the daemon of a role.
type syncStep struct {
	stop, start, forget, foreign bool
}

// next decides. A daemon that runs is ours if it is as recorded.
func (r syncRole) next() syncStep {
	ours := r.runs && r.recorded && r.record.Is(r.have)
	switch {
	case !r.wanted:
		return syncStep{stop: ours, forget: r.recorded}
	case !r.runs:
		return syncStep{start: true}
	case r.want.Is(r.have):
		again := ours && r.bound != "" && r.bound != r.want.Bound
		return syncStep{stop: again, start: again, forget: r.recorded && !ours}
	case ours:
		return syncStep{stop: true, start: true}
	default:
		return syncStep{foreign: true, forget: r.recorded}
	}
}

var errSyncForeign = errors.New("another program runs one with other settings")

// settle carries out the steps for one role. A daemon is recorded before it is started and forgotten after it is stopped.
func (s *SyncDaemons) settle(ctx context.Context, r syncRole) error {
	step := r.next()
	if step.stop {
		if err := s.call(ctx, func(ctx context.Context) error { return s.o.Kernel.Stop(ctx, r.role) }); err != nil {
			return err
		}
		s.o.Log.Info("stopped a synchronization daemon", "role", r.role, "interface", r.have.Interface)
	}
	if step.forget {
		delete(s.bound, r.role)
		s.o.Saved(s.o.Records.ForgetSyncDaemon(r.role))
	}
	switch {
	case step.foreign:
		return fmt.Errorf("%w: on %s with the id %d, group %s, port %d", errSyncForeign, r.have.Interface, r.have.ID, r.have.Group, r.have.Port)
	case step.start:
		s.o.Saved(s.o.Records.RecordSyncDaemon(r.want.SyncDaemon))
		if err := s.call(ctx, func(ctx context.Context) error { return s.o.Kernel.Start(ctx, r.want.SyncDaemon) }); err != nil {
			return err
		}
		s.bound[r.role] = r.want.Bound
		s.o.Log.Info("started a synchronization daemon", "role", r.role, "interface", r.want.Interface, "id", r.want.ID)
	case r.wanted && s.bound[r.role] == "":
		s.bound[r.role] = r.want.Bound // of an earlier run
	}
	return nil
}

func (s *SyncDaemons) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, syncDaemonsWithin)
	defer cancel()
	return f(ctx)
}

// report publishes the problems and logs those that are new.
func (s *SyncDaemons) report(found map[kernel.SyncRole]SyncDaemonProblem) {
	s.mu.Lock()
	before := s.problems
	s.problems = found
	s.mu.Unlock()
	for _, role := range kernel.SyncRoles {
		if text := found[role].Text; text != "" && text != before[role].Text {
			s.o.Log.Error("a synchronization daemon is not as wanted; trying again", "role", role, "error", text)
		}
	}
}
