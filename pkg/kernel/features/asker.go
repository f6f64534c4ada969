package features

import (
	"context"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Asker asks for features within the deadline of each caller, although a file system that does not answer blocks a read for any
// time. It asks once at a time, so that at most one goroutine hangs.
type Asker struct {
	find func(context.Context) kernel.Features

	mu   sync.Mutex
	busy *question // nil: nobody asks
}

// question is one that is being asked.
type question struct {
	done  chan struct{} // closed when found is set
	found kernel.Features
}

// NewAsker returns an Asker that asks with find.
func NewAsker(find func(context.Context) kernel.Features) *Asker { return &Asker{find: find} }

// Features returns the features. When ctx ends first, none is known, and they are Incomplete; callers at the same time share one
// question.
func (a *Asker) Features(ctx context.Context) kernel.Features {
	a.mu.Lock()
	q := a.busy
	if q == nil {
		q = &question{done: make(chan struct{})}
		a.busy = q
		go func() {
			found := a.find(ctx)
			a.mu.Lock()
			defer a.mu.Unlock()
			q.found, a.busy = found, nil
			close(q.done)
		}()
	}
	a.mu.Unlock()
	select {
	case <-q.done:
		return q.found
	case <-ctx.Done():
		return kernel.Features{Release: Release(), Incomplete: true, All: []kernel.Feature{{
			Name: "ipvs", Has: kernel.Unknown, Why: "the features of the kernel were not found in time: do the file systems of /boot and /lib/modules answer?",
		}}}
	}
}
