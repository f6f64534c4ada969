package reconcile

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/task"
)

// Ruled is what the rules of a table are made from. The zero value needs no rules.
type Ruled[C any] interface {
	None() bool // no rules are needed
	Equal(C) bool
}

// RuleKernel keeps a table of the packet filter; see packages marks and nftable.
type RuleKernel[C any] interface {
	// Generation returns a number that changes with every change of the rules of this host.
	Generation(ctx context.Context) (uint32, error)
	// Intact reports whether the rules are those of the last Put.
	Intact(ctx context.Context, c C) (bool, error)
	Put(ctx context.Context, c C) error
	// Remove removes the table, and reports whether there was one.
	Remove(ctx context.Context) (bool, error)
}

// RuleCompleter is a RuleKernel whose rules depend on what the kernel knows.
type RuleCompleter[C any] interface {
	RuleKernel[C]
	// Complete adds what the kernel knows about other hosts and the rules depend on. lacking are the hosts of which it knows
	// nothing. With an error, completed has what was known before.
	Complete(ctx context.Context, c C) (completed C, lacking []netip.Addr, err error)
}

// RuleTable keeps a table of the packet filter. Its methods may be called from any goroutine.
type RuleTable[C Ruled[C]] struct {
	kernel  RuleKernel[C]
	table   string
	log     *slog.Logger
	problem lastError
	unread  lastError // of Complete
	ready   task.Latch

	mu         sync.Mutex // guards all below, and serializes passes
	want       C
	put        C            // what the kernel has been given; the zero value: nothing
	stale      bool         // the kernel may have other rules than put: a change of them has failed
	generation uint32       // of the rules of this host, when they were last seen intact
	seen       bool         // generation is known
	lacking    []netip.Addr // hosts of which the kernel does not know what the rules depend on
	lacked     int          // passes in which these were lacking
	pauses     int          // since the last pass of Run
}

const (
	// ruleTableEvery is how often the kernel is asked whether somebody has changed rules: after ruleTablePauses pauses, or after
	// each one while it does not know all that the rules depend on, for lackingPasses passes: then the host may be down for long.
	ruleTableEvery  = ruleTablePauses * ruleTablePause
	ruleTablePause  = 200 * time.Millisecond
	ruleTablePauses = 5
	lackingPasses   = 15
	// ruleTableWithin limits a pass, for which the director's own loop may wait.
	ruleTableWithin = 2 * time.Second
)

// NewRuleTable makes the loop of a table, which is not wanted yet.
func NewRuleTable[C Ruled[C]](k RuleKernel[C], table string, log *slog.Logger) *RuleTable[C] {
	return &RuleTable[C]{kernel: k, table: table, log: log.With("table", table)}
}

// Set makes the rules those for c now. Run keeps them so, and tries again what fails here.
func (r *RuleTable[C]) Set(c C) {
	r.mu.Lock()
	r.want = c
	r.mu.Unlock()
	r.keep()
}

// Name implements task.Task.
func (r *RuleTable[C]) Name() string { return "the packet filter table " + r.table }

// Ready is closed when a pass has succeeded.
func (r *RuleTable[C]) Ready() <-chan struct{} { return r.ready.Ready() }

// Problem returns why the rules are not as they should be; "" if they are.
func (r *RuleTable[C]) Problem() string { return r.problem.text() }

// Incomplete returns the hosts of which the kernel has not known for a while what the rules depend on, and why that cannot be read;
// "" if it can. The list must not be modified.
func (r *RuleTable[C]) Incomplete() (lacking []netip.Addr, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lacked >= lackingPasses {
		lacking = r.lacking
	}
	return lacking, r.unread.text()
}

// Put reports whether the kernel has been given rules by this loop, and still has them as far as it knows.
func (r *RuleTable[C]) Put() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.put.None()
}

// Run restores the rules whenever somebody changes them, until ctx ends. It returns nil.
func (r *RuleTable[C]) Run(ctx context.Context) error {
	return task.Every(ctx, ruleTablePause, func() {
		if r.due() {
			r.keep()
		}
	})
}

// due reports, after each pause, whether a pass is due.
func (r *RuleTable[C]) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pauses++
	due := len(r.lacking) > 0 && r.lacked < lackingPasses || r.pauses >= ruleTablePauses
	if due {
		r.pauses = 0
	}
	return due
}

func (r *RuleTable[C]) keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), ruleTableWithin)
	defer cancel()
	err := r.pass(ctx)
	if err == nil {
		r.problem.clear()
		r.ready.Close()
		return
	}
	if text, news := r.problem.set(err); news {
		r.log.Error("cannot set the packet filter table; trying again", "error", text)
	}
}

func (r *RuleTable[C]) pass(ctx context.Context) error {
	var none C
	if r.want.None() {
		if r.put.None() {
			return nil
		}
		if _, err := r.kernel.Remove(ctx); err != nil {
			return err
		}
		r.log.Info("removed the packet filter table, which is no longer needed")
		r.put, r.stale, r.seen = none, false, false
		r.lack(nil, nil)
		return nil
	}
	want := r.complete(ctx)
	if r.put.Equal(want) && !r.stale {
		intact, err := r.intact(ctx)
		if err != nil || intact {
			return err
		}
		r.log.Warn("the packet filter table was changed by another program; restoring it")
	}
	r.stale, r.seen = true, false
	if err := r.kernel.Put(ctx, want); err != nil {
		return err
	}
	r.put, r.stale = want, false
	r.log.Info("set the packet filter table")
	return nil
}

// complete returns the wanted rules with what the kernel knows. Rules that need nothing else must not wait for what cannot be read.
func (r *RuleTable[C]) complete(ctx context.Context) C {
	k, is := r.kernel.(RuleCompleter[C])
	if !is {
		return r.want
	}
	completed, lacking, err := k.Complete(ctx, r.want)
	r.lack(lacking, err)
	return completed
}

// lack notes what is lacking in a pass, and why it cannot be read.
func (r *RuleTable[C]) lack(lacking []netip.Addr, err error) {
	if !slices.Equal(lacking, r.lacking) {
		r.lacking, r.lacked = lacking, 0
	}
	if r.lacked = min(r.lacked+1, lackingPasses); len(lacking) == 0 {
		r.lacked = 0
	}
	if err == nil {
		r.unread.clear()
	} else if text, news := r.unread.set(err); news {
		r.log.Error("cannot read what rules of the packet filter depend on; trying again", "error", text)
	}
}

// intact reports whether the rules are still there. They are read only if some rule of this host has changed.
func (r *RuleTable[C]) intact(ctx context.Context) (bool, error) {
	now, err := r.kernel.Generation(ctx)
	if err != nil || r.seen && now == r.generation {
		return true, err
	}
	intact, err := r.kernel.Intact(ctx, r.put)
	if err != nil || !intact {
		return false, err
	}
	r.generation, r.seen = now, true
	return true, nil
}
