package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// tableWithin bounds how long a start waits for the first pass over the table; ten thousand real servers need one or two
// seconds of a slow machine.
const tableWithin = 5 * time.Second

// table is the IPVS side of a director, which has none before something is to be balanced. All but snapshot and runs belong
// to the director's own goroutine.
type table struct {
	kernel Kernel
	state  *stateFile
	group  *task.Group
	log    *slog.Logger

	loop     atomic.Pointer[reconcile.Table]
	balancer Balancer // nil: the table is not open
}

// tableState is what the table loop has reached; without one there is nothing to reach.
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

// runs says whether there is a table loop.
func (t *table) runs() bool { return t.loop.Load() != nil }

// find asks the kernel for IPVS, which nothing here loads, and for every scheduler of the file, before anything depends on
// them.
func find(k Kernel, cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	if err := k.FindIPVS(ctx); err != nil {
		return err
	}
	balancer, err := k.Balancer() // the table loop's own belongs to the table loop
	if err != nil {
		return err
	}
	defer func() { _ = balancer.Close() }()
	asked := map[string]bool{}
	for _, v := range cfg.VirtualServers {
		if asked[v.Scheduler] {
			continue
		}
		asked[v.Scheduler] = true
		if err := balancer.Scheduler(ctx, v.Scheduler); err != nil {
			return fmt.Errorf("virtual server %s: %w", v.Name, err)
		}
	}
	return nil
}

// adopt opens the table at the start, if the file balances or an earlier run left virtual servers behind, and returns what
// stands in it.
func (t *table) adopt(cfg *config.Config) ([]lvs.Service, error) {
	needed := len(cfg.VirtualServers) > 0
	if !needed && len(t.state.Services()) == 0 {
		return nil, nil
	}
	switch err := find(t.kernel, cfg); {
	case errors.Is(err, ipvs.ErrNoIPVS) && !needed:
		t.state.saved(t.state.SetServices(nil)) // they went with the module
		return nil, nil
	case err != nil:
		return nil, err
	}
	found, err := t.kernel.Services()
	if err != nil {
		t.log.Warn("what an earlier run served is not known; the first check of each real server decides", "error", err)
	}
	if needed {
		return found, nil
	}
	return found, t.open()
}

// open opens the table, unless it is open. find comes first, and set starts the loop.
func (t *table) open() (err error) {
	if t.balancer == nil {
		t.balancer, err = t.kernel.Balancer()
	}
	return err
}

// set tells the loop what the table should be, and starts it.
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
		Kernel: t.balancer,
		Audit:  t.kernel.Services,
		Ours:   t.state.HasService,
		Record: t.state.recordServices,
		Forget: t.state.forgetServices,
		Fatal:  func(err error) bool { return errors.Is(err, ipvs.ErrNoIPVS) || errors.Is(err, ipvs.ErrNoScheduler) },
		Log:    t.log,
	})
}

// awaitFirst holds the elections back until the table stands, or this director could hold a VIP and refuse its clients
// itself. A table that cannot be made in time is no reason to leave a VIP to nobody.
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
		t.log.Warn("the IPVS table does not stand yet; taking part in elections all the same", "after", tableWithin.String())
	case <-ctx.Done():
	}
	return nil
}

// await waits until virtual servers stand and have a real server: on a VIP that comes before them clients would be refused.
// A pool that is down does not keep a VIP away for long.
func (t *table) await(wanted []lvs.Key, within time.Duration, stopped <-chan struct{}) {
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		reached, changed := t.snapshot()
		stands := func(key lvs.Key) bool { return !reached.Known || reached.Serving[key] }
		missing := false
		for _, key := range wanted {
			missing = missing || !stands(key)
		}
		if !missing || !t.runs() {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			t.log.Warn("no real server for a new VIP yet; it is put all the same", "after", within.String())
			return
		case <-stopped:
			return
		}
	}
}

// withdraw deletes the virtual servers that are ours, when no loop runs any more. The stateFile forgets only what is gone.
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

// close lets the table go; it stays as it is.
func (t *table) close() error {
	if t.balancer == nil {
		return nil
	}
	return t.balancer.Close()
}
