package realserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// ErrStopped is returned by Reload after Run has ended.
var ErrStopped = errors.New("the agent is stopping")

// acceptWithin limits how long a reload waits for the agent's loop, which makes a pass within milliseconds.
const acceptWithin = 4 * time.Second

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
	accept := time.NewTimer(acceptWithin)
	defer accept.Stop()
	select {
	case a.reloads <- r:
	case <-accept.C:
		return fmt.Errorf("the agent's loop does not answer within %s: restart the daemon, and report its log", acceptWithin)
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
