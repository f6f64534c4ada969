package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// Quiet keeps the rules for kernel.Quiet. Nothing waits for it: without them a connection that is being opened while addresses move
// may be reset. Its methods may be called from any goroutine.
type Quiet struct {
	kernel  RuleKernel[kernel.Quiet]
	lacking error // of a kernel that cannot have the rules
	log     *slog.Logger
	problem lastError
	ready   task.Latch
	dirty   chan struct{}

	mu   sync.Mutex // guards want and has
	want kernel.Quiet
	has  bool // the kernel has been given rules by this loop, and still has them as far as it knows

	// Of the goroutine of Run:
	put        kernel.Quiet // what the kernel has been given; the zero value: nothing
	stale      bool         // the kernel may have other rules than put: a change of them has failed
	generation uint32       // of the rules of this host, when they were last seen intact
	seen       bool         // generation is known
}

// NewQuiet makes the loop; there are no rules yet. lacking is the error of a kernel that cannot have them.
func NewQuiet(k RuleKernel[kernel.Quiet], lacking error, log *slog.Logger) *Quiet {
	return &Quiet{kernel: k, lacking: lacking, log: log, dirty: make(chan struct{}, 1)}
}

// Set makes this what is quiet. It does not block.
func (f *Quiet) Set(q kernel.Quiet) {
	f.mu.Lock()
	f.want = q
	f.mu.Unlock()
	select {
	case f.dirty <- struct{}{}:
	default:
	}
}

// Name implements task.Task.
func (f *Quiet) Name() string { return "the filter of unknown connections" }

// Ready is closed when a pass has succeeded, or cannot succeed.
func (f *Quiet) Ready() <-chan struct{} { return f.ready.Ready() }

// Problem returns why the rules are not as they should be, also on a kernel that cannot have them; "" if they are.
func (f *Quiet) Problem() string { return f.problem.text() }

// Put reports whether the kernel has been given rules by this loop, and still has them as far as it knows.
func (f *Quiet) Put() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.has
}

// Run sets the rules and restores them when somebody changes them, until ctx ends. It returns nil.
func (f *Quiet) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.dirty:
		case <-timer.C:
		}
		heart.Beat()
		f.keep(ctx)
		timer.Reset(ruleTableEvery)
	}
}

func (f *Quiet) keep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ruleTableWithin)
	defer cancel()
	err := f.pass(ctx)
	f.mu.Lock()
	f.has = !f.put.None()
	f.mu.Unlock()
	switch {
	case err == nil:
		f.problem.clear()
	case errors.Is(err, f.lacking):
		if _, news := f.problem.set(err); news {
			f.log.Info("this kernel has no nf_tables: a connection that is being opened while virtual addresses move may be reset")
		}
	default:
		if text, news := f.problem.set(err); news {
			f.log.Error("cannot set the packet filter of unknown connections; trying again", "error", text)
		}
		return
	}
	f.ready.Close()
}

func (f *Quiet) pass(ctx context.Context) error {
	f.mu.Lock()
	want := f.want
	f.mu.Unlock()
	switch {
	case want.None() && f.put.None():
		return nil
	case want.None():
		_, err := f.kernel.Remove(ctx)
		if err == nil {
			f.put, f.stale, f.seen = kernel.Quiet{}, false, false
		}
		return err
	case f.put.Equal(want) && !f.stale:
		intact, err := f.intact(ctx)
		if err != nil || intact {
			return err
		}
		f.log.Warn("the packet filter of unknown connections was changed by another program; restoring it", "table", kernel.QuietTable)
	}
	f.stale, f.seen = true, false
	if err := f.kernel.Put(ctx, want); err != nil {
		return err
	}
	f.put, f.stale = want, false
	return nil
}

// intact reports whether the rules are still there. They are read only if some rule of this host has changed.
func (f *Quiet) intact(ctx context.Context) (bool, error) {
	now, err := f.kernel.Generation(ctx)
	if err != nil || f.seen && now == f.generation {
		return true, err
	}
	intact, err := f.kernel.Intact(ctx, f.put)
	if err != nil || !intact {
		return false, err
	}
	f.generation, f.seen = now, true
	return true, nil
}
