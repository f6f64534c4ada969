package realserver

import (
	"context"
	"errors"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// ErrStopped is returned by Reload when the agent does not run any more.
var ErrStopped = errors.New("the agent is stopping")

type reload struct {
	cfg  *config.Config
	done chan struct{}
}

// Reload reads the cluster file again and carries out the difference. A file that does not validate changes nothing; the
// error is what Load says.
func (a *Agent) Reload(ctx context.Context) error {
	select {
	case a.reloading <- struct{}{}:
		defer func() { <-a.reloading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	cfg, err := a.o.Load()
	if err != nil {
		return err
	}
	r := reload{cfg: cfg, done: make(chan struct{})}
	select {
	case a.reloads <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-a.stopped:
		return ErrStopped
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take makes a new cluster file the one to follow.
func (a *Agent) take(r reload) {
	defer close(r.done)
	a.cfg = r.cfg
	a.o.Log.Info("reloaded", "config", a.cfg.Summary())
	_ = a.pass(true)
}
