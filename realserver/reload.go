package realserver

import (
	"context"
	"errors"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// ErrStopped is returned by Reload after Run has ended.
var ErrStopped = errors.New("the agent is stopping")

type reload struct {
	cfg  *config.Config
	done chan struct{}
}

// Reload reads the cluster file again and applies it. An invalid file changes nothing; the error is that of Load.
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

// take applies a new cluster file.
func (a *Agent) take(r reload) {
	defer close(r.done)
	a.cfg = r.cfg
	a.o.Log.Info("reloaded", "config", a.cfg.Summary())
	_ = a.pass(true)
}
