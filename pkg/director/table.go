package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// tableWithin limits how long a start waits for the first pass over the table; ten thousand real servers take one or
// two seconds on a slow host.
const tableWithin = 5 * time.Second

// table is the IPVS part of a director; it stays closed until there is something to balance. All methods except
// snapshot, runs and read are called only from the director's own goroutine.
type table struct {
	kernel Kernel
	state  *stateFile
	group  *task.Group
	log    *slog.Logger

	loop     atomic.Pointer[reconcile.Table]
	balancer Balancer // nil: the table is not open
}

// tableState is the state that the table loop has reached; without a loop it counts as synced.
type tableState struct {
	reconcile.TableSnapshot
	synced bool
}

func (t *table) snapshot() (tableState, <-chan struct{}) {
	loop := t.loop.Load()
	if loop == nil {
		return tableState{synced: true}, nil
	}
	s, changed := loop.Snapshot()
	select {
	case <-loop.Ready():
		return tableState{s, true}, changed
	default:
		return tableState{s, false}, changed
	}
}

// runs reports whether there is a table loop.
func (t *table) runs() bool { return t.loop.Load() != nil }

// find checks that the kernel has IPVS with the schedulers and engines of the file, before anything depends on that. It loads no
// module itself.
func find(k Kernel, cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	if err := k.FindIPVS(ctx); err != nil {
		return err
	}
	balancer, err := k.Balancer() // not the table loop's own, which only that loop may use
	if err != nil {
		return err
	}
	defer func() { _ = balancer.Close() }()
	asked := map[string]bool{}
	for _, scheduler := range lvs.LocalSchedulers(cfg) {
		asked[scheduler] = true
		if err := balancer.Scheduler(ctx, scheduler); err != nil {
			return fmt.Errorf("real servers that are directors too: %w", err)
		}
	}
	for _, v := range cfg.VirtualServers {
		if asked[v.Scheduler] {
			continue
		}
		asked[v.Scheduler] = true
		if err := balancer.Scheduler(ctx, v.Scheduler); err != nil {
			return fmt.Errorf("virtual server %s: %w", v.Name, err)
		}
	}
	for _, v := range cfg.VirtualServers {
		if v.Persistence == nil || v.Persistence.Engine == "" || asked[v.Persistence.Engine] {
			continue
		}
		asked[v.Persistence.Engine] = true // no scheduler has this name
		if err := balancer.Engine(ctx, v.Persistence.Engine); err != nil {
			return fmt.Errorf("virtual server %s: %w", v.Name, err)
		}
	}
	return nil
}

// adopt opens the table at the start if the file has virtual servers or an earlier run left some behind, and returns
// its content.
func (t *table) adopt(cfg *config.Config) ([]lvs.Service, error) {
	needed := len(cfg.VirtualServers) > 0
	if !needed && len(t.state.Services()) == 0 {
		return nil, nil
	}
	switch err := find(t.kernel, cfg); {
	case errors.Is(err, ipvs.ErrNoIPVS) && !needed:
		t.state.saved(t.state.SetServices(nil)) // they were removed with the module
		return nil, nil
	case err != nil:
		return nil, err
	}
	read := t.kernel.Services
	if slices.ContainsFunc(cfg.VirtualServers, func(v config.VirtualServer) bool { return v.SlowStart > 0 }) {
		read = t.read // the cheap one may lack entries, which would be taken for servers that start slowly
	}
	found, err := read()
	if err != nil {
		t.log.Warn("cannot read the virtual servers of an earlier run; the first check of each real server decides its state", "error", err)
	}
	if needed {
		return found, nil
	}
	return found, t.open()
}

// read reads the whole table, by a handle of its own.
func (t *table) read() ([]lvs.Service, error) {
	balancer, err := t.kernel.Balancer()
	if err != nil {
		return nil, err
	}
	defer func() { _ = balancer.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	return balancer.Read(ctx)
}

// open opens the table unless it is open. It is called after find; set starts the loop.
func (t *table) open() (err error) {
	if t.balancer == nil {
		t.balancer, err = t.kernel.Balancer()
	}
	return err
}

// set passes the desired table to the loop and starts it if necessary.
func (t *table) set(want plan.Table) {
	if loop := t.loop.Load(); loop != nil {
		loop.Set(want)
		return
	}
	if t.balancer == nil {
		return
	}
	loop := t.newLoop()
	loop.Set(want)
	t.loop.Store(loop)
	t.group.Start(loop)
}

func (t *table) newLoop() *reconcile.Table {
	return reconcile.NewTable(reconcile.TableOptions{
		Kernel:      t.balancer,
		Audit:       t.kernel.Services,
		Fingerprint: t.kernel.Fingerprint,
		Ours:        t.state.HasService,
		Recorded:    t.state.Services,
		Record:      t.state.recordServices,
		Forget:      t.state.forgetServices,
		Fatal: func(err error) bool {
			return errors.Is(err, ipvs.ErrNoIPVS) || errors.Is(err, ipvs.ErrNoScheduler) || errors.Is(err, ipvs.ErrNoEngine)
		},
		Log: t.log,
	})
}

// awaitFirst delays the elections until the table is complete, because otherwise this director could hold a VIP and
// refuse its clients. The wait is limited, because a VIP must not stay without a holder.
func (t *table) awaitFirst(ctx context.Context) error {
	loop := t.loop.Load()
	if loop == nil {
		return nil
	}
	limit := time.NewTimer(tableWithin)
	defer limit.Stop()
	select {
	case <-loop.Ready():
	case err := <-t.group.Failed():
		return err
	case <-limit.C:
		t.log.Warn("the IPVS table is not complete yet; taking part in elections anyway", "after", tableWithin.String())
	case <-ctx.Done():
	}
	return nil
}

// await waits until virtual servers are in the table and take connections: clients of a VIP that is added earlier
// would be refused, or be at a sorry server while a real server has not been checked. The wait is limited, because a pool may be down.
func (t *table) await(wanted []lvs.Key, planned func() (plan.Plan, <-chan struct{}), within time.Duration, stopped <-chan struct{}) {
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		p, judged := planned()
		reached, changed := t.snapshot()
		inPlace := func(key lvs.Key) bool { return !reached.Known || reached.Serving[key] }
		unchecked := p.Table.SuspendedKeys() // what is not checked would be waited for in vain
		missing := slices.ContainsFunc(p.Table.Undecided(reached.Services), func(key lvs.Key) bool { return slices.Contains(wanted, key) && !unchecked[key] })
		for _, key := range wanted {
			missing = missing || !inPlace(key) && !unchecked[key]
		}
		if !missing || !t.runs() {
			return
		}
		select {
		case <-changed:
		case <-judged:
		case <-late.C:
			t.log.Warn("no real server for a new VIP yet; adding the VIP anyway", "after", within.String())
			return
		case <-stopped:
			return
		}
	}
}

// withdraw deletes our virtual servers after the loop has ended. Only virtual servers that were deleted are removed
// from the state file.
func (t *table) withdraw(ours plan.Table) error {
	if t.balancer == nil {
		return nil
	}
	loop := t.loop.Load()
	if loop == nil {
		loop = t.newLoop()
		loop.Set(ours)
	}
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	if err := loop.Withdraw(ctx); err != nil {
		return fmt.Errorf("withdraw the virtual servers: %w", errors.Join(err, t.close()))
	}
	t.state.saved(t.state.SetServices(nil))
	return t.close()
}

// close closes the handle to the table and leaves the table unchanged.
func (t *table) close() error {
	if t.balancer == nil {
		return nil
	}
	return t.balancer.Close()
}
