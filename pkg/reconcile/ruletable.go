package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// Ruled is what the rules of a table are made from. The zero value needs no rules.
type Ruled[C any] interface {
	None() bool // no rules are needed
	Equal(C) bool
}

// RuleKernel keeps a table of the packet filter; see package nftable.
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
	without string // what it means that the kernel can have no rules; "": that is an error
	log     *slog.Logger
	name    string
	problem lastError
	lacks   lastError // that the director does without the table
	lack    incomplete
	ready   task.Latch
	soon    chan struct{} // a pass is due
	lacking chan struct{} // the next pass may be due earlier than Run knows

	wanted sync.Mutex // guards want; it is never held for long
	want   C

	mu         sync.Mutex // guards all below, and serializes passes
	put        C          // what the kernel has been given; the zero value: nothing
	stale      bool       // the kernel may have other rules than put: a change of them has failed
	generation uint32     // of the rules of this host, when they were last seen intact
	seen       bool       // generation is known
}

const (
	// ruleTableEvery is how often the kernel is asked whether somebody has changed rules.
	ruleTableEvery = time.Second
	// ruleTableWithin limits a pass, for which the director's own loop may wait.
	ruleTableWithin = 2 * time.Second
)

// NewRuleTable makes the loop of a table, which is not wanted yet.
func NewRuleTable[C Ruled[C]](k RuleKernel[C], table string, log *slog.Logger) *RuleTable[C] {
	return &RuleTable[C]{kernel: k, name: table, log: log.With("table", table), soon: make(chan struct{}, 1), lacking: make(chan struct{}, 1)}
}

// NewOptionalRuleTable makes the loop of a table that the director does without if the kernel has no nf_tables. without says what
// that means; it is logged once.
func NewOptionalRuleTable[C Ruled[C]](k RuleKernel[C], table, without string, log *slog.Logger) *RuleTable[C] {
	r := NewRuleTable(k, table, log)
	r.without = without
	return r
}

// Set makes the rules those for c now. Run keeps them so, and tries again what fails here.
func (r *RuleTable[C]) Set(c C) {
	r.setWant(c)
	r.keep(context.Background())
	if r.lack.wait() < ruleTableEvery {
		select {
		case r.lacking <- struct{}{}:
		default:
		}
	}
}

// SetSoon lets Run make the rules those for c. It does not block.
func (r *RuleTable[C]) SetSoon(c C) {
	r.setWant(c)
	select {
	case r.soon <- struct{}{}:
	default:
	}
}

func (r *RuleTable[C]) setWant(c C) {
	r.wanted.Lock()
	defer r.wanted.Unlock()
	r.want = c
}

// Name implements task.Task.
func (r *RuleTable[C]) Name() string { return "the packet filter table " + r.name }

// Ready is closed when a pass has succeeded, or the director does without the table.
func (r *RuleTable[C]) Ready() <-chan struct{} { return r.ready.Ready() }

// Problem returns why the rules are not as they should be; "" if they are, or if the director does without them.
func (r *RuleTable[C]) Problem() string { return r.problem.text() }

// Incomplete returns the hosts of which the kernel has not known for a while what the rules depend on, and why that cannot be read;
// "" if it can. The list must not be modified.
func (r *RuleTable[C]) Incomplete() (lacking []netip.Addr, why string) { return r.lack.snapshot() }

// Run restores the rules whenever somebody changes them, until ctx ends. It returns nil.
func (r *RuleTable[C]) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	timer := time.NewTimer(heartbeat.Until(time.Now(), r.lack.wait()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.lacking:
			timer.Reset(heartbeat.Until(time.Now(), r.lack.wait()))
			continue
		case <-r.soon:
		case <-timer.C:
		}
		heart.Beat()
		r.keep(ctx)
		timer.Reset(heartbeat.Until(time.Now(), r.lack.wait()))
	}
}

// Withdraw removes the table, also one of an earlier run. When this loop has given the kernel none, a process that may not change
// the packet filter cannot have left one in this run; then kernel.ErrNotPermitted is nil.
func (r *RuleTable[C]) Withdraw(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := RemoveRules(ctx, r.kernel, r.name, r.log)
	if errors.Is(err, kernel.ErrNotPermitted) && r.put.None() {
		return nil
	}
	return err
}

func (r *RuleTable[C]) keep(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, ruleTableWithin)
	defer cancel()
	err := r.pass(ctx)
	switch {
	case err == nil:
		r.problem.clear()
	case r.without != "" && errors.Is(err, kernel.ErrNoNFTables):
		r.problem.clear()
		if _, news := r.lacks.set(err); news {
			r.log.Info("this kernel has no nf_tables", "therefore", r.without)
		}
	default:
		if text, news := r.problem.set(err); news {
			r.log.Error("cannot set the packet filter table; trying again", "error", text)
		}
		return
	}
	r.ready.Close()
}

func (r *RuleTable[C]) pass(ctx context.Context) error {
	r.wanted.Lock()
	want := r.want
	r.wanted.Unlock()
	if want.None() {
		return r.remove(ctx)
	}
	want = r.complete(ctx, want)
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
	if r.without == "" { // otherwise it changes with every failover
		r.log.Info("set the packet filter table")
	}
	return nil
}

// remove removes the table if the kernel may have it. What it may not remove, it could not put either.
func (r *RuleTable[C]) remove(ctx context.Context) error {
	if r.put.None() && !r.stale {
		return nil
	}
	removed, err := r.kernel.Remove(ctx)
	if err != nil && !(r.put.None() && errors.Is(err, kernel.ErrNotPermitted)) {
		return err
	}
	if removed && r.without == "" {
		r.log.Info("removed the packet filter table, which is no longer needed")
	}
	var none C
	r.put, r.stale, r.seen = none, false, false
	r.lack.note(nil, nil)
	return nil
}

// complete returns the wanted rules with what the kernel knows. Rules that need nothing else must not wait for what cannot be read.
func (r *RuleTable[C]) complete(ctx context.Context, want C) C {
	k, is := r.kernel.(RuleCompleter[C])
	if !is {
		return want
	}
	completed, lacking, err := k.Complete(ctx, want)
	if text, news := r.lack.note(lacking, err); news {
		r.log.Error("cannot read what rules of the packet filter depend on; trying again", "error", text)
	}
	return completed
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

// RemoveRules removes a table of the packet filter, if there is one. Its error ends with the command that does so.
func RemoveRules[C any](ctx context.Context, k RuleKernel[C], table string, log *slog.Logger) error {
	removed, err := k.Remove(ctx)
	if err != nil {
		return fmt.Errorf("remove the packet filter table %s: %w (nft delete table inet %s)", table, err, table)
	}
	if removed {
		log.Info("removed the packet filter table", "table", table)
	}
	return nil
}
