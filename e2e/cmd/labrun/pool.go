package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lvs-director/lvs-director/e2e/suite"
)

// A runner runs jobs, one at a time.
type runner interface {
	// run returns the outcome of the job, and whether the runner can run another one.
	run(ctx context.Context, j suite.Job, limit time.Duration) (suite.Outcome, bool)
	// end shuts the runner down and waits until it is gone.
	end()
}

// A pool runs the jobs of a queue in several runners at a time.
type pool struct {
	boot  func(ctx context.Context, kernel string) (runner, error)
	limit time.Duration // for a job, by the guest's clock

	mu     sync.Mutex
	queue  *suite.Queue
	report *suite.Report
}

// run returns when the queue is empty and all jobs have ended. An error is that of a boot or of the context; in that
// case jobs have not been run.
func (p *pool) run(ctx context.Context, runners int) error {
	var g *errgroup.Group
	g, ctx = errgroup.WithContext(ctx)
	for range runners {
		g.Go(func() error { return p.work(ctx) })
	}
	return g.Wait()
}

// work runs jobs in one runner at a time, and boots another one when a job needs it.
func (p *pool) work(ctx context.Context) error {
	var r runner
	var guest suite.Guest
	end := func() {
		if r != nil {
			r.end()
		}
		r, guest = nil, suite.Guest{}
	}
	defer end()
	for ctx.Err() == nil {
		j, boot, ok := p.next(guest)
		if !ok {
			return nil
		}
		if boot {
			end()
			var err error
			if r, err = p.boot(ctx, j.Kernel); err != nil {
				r = nil
				return err
			}
			guest.Kernel = j.Kernel
		}
		o, reusable := r.run(ctx, j, p.limit)
		if ctx.Err() != nil {
			break // the runner was interrupted, so the outcome means nothing
		}
		p.add(o)
		guest.Used = true
		if !reusable || j.Exclusive {
			end()
		}
	}
	return context.Cause(ctx)
}

func (p *pool) next(g suite.Guest) (suite.Job, bool, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.Next(g)
}

func (p *pool) add(o suite.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Add(o)
}
