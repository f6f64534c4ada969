package reconcile

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// VIPFilterKernel keeps the rules of the packet filter for virtual addresses that accept no packets; see package vipfilter.
type VIPFilterKernel interface {
	// Generation returns a number that changes with every change of the rules of this host.
	Generation(ctx context.Context) (uint32, error)
	// Intact reports whether the rules are those of the last Put.
	Intact(ctx context.Context, c kernel.Closed) (bool, error)
	Put(ctx context.Context, c kernel.Closed) error
	// Remove removes the rules, and reports whether there were any.
	Remove(ctx context.Context) (bool, error)
}

// VIPFilter keeps virtual addresses closed. Its methods may be called from any goroutine.
type VIPFilter struct {
	kernel  VIPFilterKernel
	log     *slog.Logger
	problem lastError
	ready   task.Latch

	mu         sync.Mutex // guards all below, and serializes passes
	want       kernel.Closed
	put        kernel.Closed // what the kernel has been given; the zero value: nothing
	stale      bool          // the kernel may have other rules than put: a change of them has failed
	generation uint32        // of the rules of this host, when they were last seen intact
	seen       bool          // generation is known
}

const (
	// vipFilterEvery is how often the kernel is asked whether somebody has changed rules.
	vipFilterEvery = time.Second
	// vipFilterWithin limits a pass, for which the director's own loop may wait.
	vipFilterWithin = 2 * time.Second
)

// NewVIPFilter makes the loop; no address is closed yet.
func NewVIPFilter(k VIPFilterKernel, log *slog.Logger) *VIPFilter {
	return &VIPFilter{kernel: k, log: log}
}

// Set closes the addresses of c now, and no others. Run keeps them so, and tries again what fails here.
func (f *VIPFilter) Set(c kernel.Closed) {
	f.mu.Lock()
	f.want = c
	f.mu.Unlock()
	f.keep()
}

// Name implements task.Task.
func (f *VIPFilter) Name() string { return "the filter of virtual addresses" }

// Ready is closed when a pass has succeeded.
func (f *VIPFilter) Ready() <-chan struct{} { return f.ready.Ready() }

// Problem returns why addresses are not closed, or why rules that are no longer needed are still there; "" if all is well.
func (f *VIPFilter) Problem() string { return f.problem.text() }

// Put reports whether the kernel has been given rules by this loop, and still has them as far as it knows.
func (f *VIPFilter) Put() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.put.Equal(kernel.Closed{})
}

// Run restores the rules whenever somebody changes them, until ctx ends. It returns nil.
func (f *VIPFilter) Run(ctx context.Context) error {
	return task.Every(ctx, vipFilterEvery, f.keep)
}

func (f *VIPFilter) keep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), vipFilterWithin)
	defer cancel()
	err := f.pass(ctx)
	if err == nil {
		f.problem.clear()
		f.ready.Close()
		return
	}
	if text, news := f.problem.set(err); news {
		f.log.Error("cannot set the packet filter of the virtual addresses; trying again", "error", text)
	}
}

func (f *VIPFilter) pass(ctx context.Context) error {
	if len(f.want.Addresses) == 0 {
		if len(f.put.Addresses) == 0 {
			return nil
		}
		if _, err := f.kernel.Remove(ctx); err != nil {
			return err
		}
		f.log.Info("the virtual addresses accept packets again")
		f.put, f.stale, f.seen = kernel.Closed{}, false, false
		return nil
	}
	if f.put.Equal(f.want) && !f.stale {
		intact, err := f.intact(ctx)
		if err != nil || intact {
			return err
		}
		f.log.Warn("the packet filter of the virtual addresses was changed by another program; restoring it", "table", kernel.ClosedTable)
	}
	f.stale, f.seen = true, false
	if err := f.kernel.Put(ctx, f.want); err != nil {
		return err
	}
	f.put, f.stale = f.want, false
	f.log.Info("virtual addresses accept only packets for virtual servers", "table", kernel.ClosedTable, "addresses", len(f.want.Addresses), "services", len(f.want.Open)+len(f.want.Marks))
	return nil
}

// intact reports whether the rules are still there. They are read only if some rule of this host has changed.
func (f *VIPFilter) intact(ctx context.Context) (bool, error) {
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
