package realserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// ErrStopped is returned by Reload when the agent does not run any more.
var ErrStopped = errors.New("the agent is stopping")

type reload struct {
	cfg    *config.Config
	reason string // why there is no cfg
	done   chan struct{}
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
	r := reload{cfg: cfg, done: make(chan struct{})}
	if err != nil {
		r.cfg, r.reason = nil, err.Error()
	}
	select {
	case a.reloads <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-a.stopped:
		return ErrStopped
	}
	select {
	case <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take makes a new cluster file the one to follow, or remembers why there is none.
func (a *Agent) take(r reload) {
	defer close(r.done)
	if r.cfg == nil {
		first, rest, more := strings.Cut(r.reason, "\n")
		if more {
			first = fmt.Sprintf("%s (and %d more)", first, strings.Count(rest, "\n")+1)
		}
		a.refused = "the last reload was refused, the former cluster file stays in force: " + first
	} else {
		a.cfg, a.refused = r.cfg, ""
		a.o.Log.Info("reloaded", "config", a.cfg.Summary())
	}
	_ = a.pass(true)
}
