package realserver

import (
	"context"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// loop is the agent's task: it makes passes.
type loop struct {
	*Agent
	task.Latch // closed after the first pass
}

// Name implements task.Task.
func (l *loop) Name() string { return "the agent's loop" }

// Run makes passes until ctx ends. It returns an error only if the first pass lacked a privilege.
func (l *loop) Run(ctx context.Context) error {
	var events sync.WaitGroup
	defer events.Wait()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events.Go(func() { l.watch(watching) })
	first := l.work(true)
	if err := first.forbidden(); err != nil {
		// Waiting would not help. Undo the changes that succeeded.
		l.cfg = nil
		l.work(true)
		return err
	}
	l.report(first)
	l.o.Log.Info("keeping this real server", "node", l.node(), "config", l.cfg.Summary())
	l.Close()
	l.follow(ctx)
	return nil
}

// follow makes a pass for every event, and periodically.
func (l *loop) follow(ctx context.Context) {
	tick := time.NewTicker(sysctlInterval)
	defer tick.Stop()
	settled := time.NewTimer(0)
	settled.Stop()
	defer settled.Stop()
	heart := heartbeat.From(ctx)
	for ctx.Err() == nil {
		heart.Beat()
		select {
		case <-ctx.Done():
		case <-l.kick:
			// Events that arrive while a pass is scheduled are covered by that pass.
			settled.Reset(max(settle, time.Until(l.looked.Add(passSpacing))))
		case <-settled.C:
			_ = l.pass(true)
		case <-tick.C:
			_ = l.pass(l.stale || time.Since(l.looked) >= lookInterval)
		case r := <-l.reloads:
			l.take(r)
		}
	}
}

// watch turns events into kicks.
func (l *loop) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.e.Watch(ctx, func(addr.Event) {
			select {
			case l.kick <- struct{}{}:
			default:
			}
		})
		if ctx.Err() != nil {
			return
		}
		l.o.Log.Warn("address and link events are not available; polling", "every", lookInterval.String(), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(watchRetry):
		}
	}
}
