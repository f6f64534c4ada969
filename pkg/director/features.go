package director

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/status"
)

const (
	// featuresKept is how long the features of the kernel are kept for the status. Few of them change, when a module is loaded.
	featuresKept = time.Minute
	// featuresWithin limits a look for them, for which a status request waits.
	featuresWithin = time.Second
)

// featureCache has the features of the kernel for the status. The zero value is ready.
type featureCache struct {
	mu   sync.Mutex
	last *status.Kernel
	at   time.Time
	busy bool // somebody asks the kernel
}

// get returns the features that were found last, and looks for them again if that is long ago. A request beside one that is
// already looking gets those of before; nil if there are none yet.
func (c *featureCache) get(k Kernel, now time.Time) *status.Kernel {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.last != nil && now.Sub(c.at) < featuresKept {
		return c.last
	}
	c.busy = true
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), featuresWithin)
	found := featureStatus(k.Features(ctx))
	cancel()
	c.mu.Lock()
	c.last, c.at, c.busy = found, now, false
	return c.last
}

func featureStatus(f kernel.Features) *status.Kernel {
	s := &status.Kernel{Release: f.Release, Features: []status.KernelFeature{}}
	for _, one := range f.All {
		s.Features = append(s.Features, status.KernelFeature{Name: one.Name, Has: string(one.Has), Why: one.Why})
	}
	return s
}

// lacking returns an error for the first feature that the file needs and the kernel has not as far as it says.
func lacking(ctx context.Context, k Kernel, cfg *config.Config) error {
	needs := plan.Needs(cfg)
	if len(needs) == 0 {
		return nil
	}
	found := k.Features(ctx)
	for _, n := range needs {
		if f := found.Find(n.Feature); f.Has == kernel.Absent {
			return fmt.Errorf("virtual server %s: %s needs %s, which this kernel does not have (%s): %s", n.VirtualServer, n.By, n.Kernel, f.Why, n.Remedy)
		}
	}
	return nil
}
