package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lvs-director/lvs-director/e2e/suite"
)

// A place runs jobs, one at a time.
type place interface {
	// run returns how the job ended, and whether another one may be run here.
	run(ctx context.Context, j suite.Job, limit time.Duration) (suite.Outcome, bool)
	// end takes the place down, and waits for that.
	end()
}

// A crew runs the jobs of a queue in several places at a time.
type crew struct {
	boot  func(ctx context.Context, kernel string) (place, error)
	limit time.Duration // of a job, by the guest's clock

	mu     sync.Mutex
	queue  *suite.Queue
	report *suite.Report
}

// run returns when the queue is empty and all have ended. An error is one of a boot, or the context's: then jobs are left.
func (c *crew) run(ctx context.Context, places int) error {
	var g *errgroup.Group
	g, ctx = errgroup.WithContext(ctx)
	for range places {
		g.Go(func() error { return c.work(ctx) })
	}
	return g.Wait()
}

// work runs jobs in one place after the other.
func (c *crew) work(ctx context.Context) error {
	var here place
	var guest suite.Guest
	leave := func() {
		if here != nil {
			here.end()
		}
		here, guest = nil, suite.Guest{}
	}
	defer func() { leave() }()
	for ctx.Err() == nil {
		j, boot, ok := c.next(guest)
		if !ok {
			return nil
		}
		if boot {
			leave()
			var err error
			if here, err = c.boot(ctx, j.Kernel); err != nil {
				here = nil
				return err
			}
			guest.Kernel = j.Kernel
		}
		o, again := here.run(ctx, j, c.limit)
		if ctx.Err() != nil {
			break // it was ended, and says nothing of the job
		}
		c.add(o)
		guest.Used = true
		if !again || j.Exclusive {
			leave()
		}
	}
	return context.Cause(ctx)
}

func (c *crew) next(g suite.Guest) (suite.Job, bool, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.Next(g)
}

func (c *crew) add(o suite.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Add(o)
}
