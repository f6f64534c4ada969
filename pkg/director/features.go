package director

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
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
	// failed: last is the result of a question that failed. Only such a one is replaced by another.
	failed bool
}

// get returns the features that were found last without a failure, and looks for them again if that is long ago. A request
// beside one that is already looking gets those of before; nil if there are none yet.
func (c *featureCache) get(k Kernel, now time.Time) *status.Kernel {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.last != nil && now.Sub(c.at) < featuresKept {
		return c.last
	}
	c.busy = true
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), featuresWithin)
	found := k.Features(ctx)
	cancel()
	c.mu.Lock()
	c.at, c.busy = now, false
	if c.last == nil || !found.Incomplete || c.failed {
		c.last, c.failed = featureStatus(found), found.Incomplete
	}
	return c.last
}

func featureStatus(f kernel.Features) *status.Kernel {
	s := &status.Kernel{Release: f.Release, Features: []status.KernelFeature{}}
	for _, one := range f.All {
		s.Features = append(s.Features, status.KernelFeature{Name: one.Name, Has: string(one.Has), Why: one.Why})
	}
	return s
}

// lack is a feature that a virtual server needs and that the kernel does not have as far as it says.
type lack struct {
	plan.Need
	why string
}

func (l lack) Error() string {
	return fmt.Sprintf("virtual server %s: %s needs %s, which this kernel does not have (%s): %s", l.VirtualServer, l.By, l.Kernel, l.why, l.Remedy)
}

// lacking returns what the file needs and the kernel does not have as far as it says.
func lacking(ctx context.Context, k Kernel, cfg *config.Config) []lack {
	needs := plan.Needs(cfg)
	if len(needs) == 0 {
		return nil
	}
	found, why := k.Features(ctx), map[string]string{}
	for _, f := range found.All {
		if f.Has == kernel.Absent {
			why[f.Name] = f.Why
		}
	}
	return lacksOf(needs, why)
}

// lacksOf returns the needs of which a feature is absent, and why.
func lacksOf(needs []plan.Need, absent map[string]string) (all []lack) {
	for _, n := range needs {
		if why, is := absent[n.Feature]; is {
			all = append(all, lack{n, why})
		}
	}
	return all
}

// lackingAtStart logs what the file needs and the kernel does not have, and returns why by feature. It is no reason not to
// start: the other virtual servers can be served, and the evidence may be wrong.
func (d *Director) lackingAtStart(cfg *config.Config) map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), featuresWithin)
	defer cancel()
	absent := map[string]string{}
	for _, l := range lacking(ctx, d.o.Kernel, cfg) {
		absent[l.Feature] = l.why
		d.log.Error("the kernel does not have what a virtual server needs", "error", l)
	}
	return absent
}

// lackProblems returns the problems of virtual servers that need what the kernel did not have at the start.
func lackProblems(s snapshots) []problem.Finding {
	if len(s.lacks) == 0 {
		return nil
	}
	var found []problem.Finding
	for _, l := range lacksOf(plan.Needs(s.plan.Config), s.lacks) {
		found = append(found, problem.Finding{Code: problem.KernelLacks, Subject: l.VirtualServer, Text: l.Error()})
	}
	return found
}
