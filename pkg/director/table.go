package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/ledger"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// table is the IPVS side of the director.
type table struct {
	kernel *ipvs.Table
	loop   *reconcile.Table
	cfg    atomic.Pointer[config.Config] // what the loop works towards

	// switching is held while the configuration and the names of the checks change: between the two the loop would find
	// servers that nothing is known of.
	switching sync.Mutex
}

// needsTable says whether a cluster file balances at all; a director may only elect.
func (d *Director) needsTable(cfg *config.Config) bool { return len(cfg.VirtualServers) > 0 }

// adoptTable opens the table at the start. A file that does not balance needs none, unless an earlier run left virtual
// servers behind.
func (d *Director) adoptTable() error {
	if !d.needsTable(d.cfg) && len(d.ledger.Services()) == 0 {
		return nil
	}
	switch err := lookForIPVS(d.cfg); {
	case errors.Is(err, ipvs.ErrNoIPVS) && !d.needsTable(d.cfg):
		d.saved(d.ledger.SetServices(nil)) // they went with the module
		return nil
	case err != nil:
		return err
	}
	var err error
	if d.found, err = ipvs.Snapshot(); err != nil {
		d.log.Warn("what an earlier run served is not known; the first check of each real server decides", "error", err)
	}
	return d.openTable(d.cfg)
}

// openTable sets the sysctls that balancing needs and opens the table. lookForIPVS comes first.
func (d *Director) openTable(cfg *config.Config) error {
	if err := d.sysctls.Set(d.wantedSysctls(cfg)); err != nil {
		return err
	}
	kernel, err := ipvs.Open()
	if err != nil {
		return err
	}
	d.table = d.newTable(kernel, cfg)
	d.publish() // verdicts look there for the table that they change
	return nil
}

// lookForIPVS asks the kernel for IPVS, which nothing here loads, and for every scheduler of the file, before anything
// depends on them.
func lookForIPVS(cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	if _, err := ipvs.Probe(ctx); err != nil {
		return err
	}
	kernel, err := ipvs.Open() // the table loop's own belongs to the table loop
	if err != nil {
		return err
	}
	defer func() { _ = kernel.Close() }()
	asked := map[string]bool{}
	for _, v := range cfg.VirtualServers {
		if asked[v.Scheduler] {
			continue
		}
		asked[v.Scheduler] = true
		if err := kernel.Scheduler(ctx, v.Scheduler); err != nil {
			return fmt.Errorf("virtual server %s: %w", v.Name, err)
		}
	}
	return nil
}

func (d *Director) newTable(kernel *ipvs.Table, cfg *config.Config) *table {
	t := &table{kernel: kernel}
	t.cfg.Store(cfg)
	t.loop = reconcile.NewTable(reconcile.TableOptions{
		Kernel: kernel,
		Audit:  ipvs.Snapshot,
		Desired: func(found []lvs.Service) []lvs.Service {
			t.switching.Lock()
			defer t.switching.Unlock()
			return lvs.Desired(t.cfg.Load().VirtualServers, d.condition, found)
		},
		Ours:   d.owns(t),
		Record: d.recordServices,
		Forget: d.forgetServices,
		Fatal:  func(err error) bool { return errors.Is(err, ipvs.ErrNoIPVS) || errors.Is(err, ipvs.ErrNoScheduler) },
		Log:    d.log,
	})
	return t
}

func (d *Director) startTable() {
	t := d.table
	t.loop.Pulse = d.pulses.Start("the table loop")
	d.run(func(ctx context.Context) {
		if err := t.loop.Run(ctx); err != nil {
			d.fail(err)
		}
	})
}

// tableWithin bounds how long a start waits for the first pass over the table; ten thousand real servers need one or two
// seconds of a slow machine.
const tableWithin = 5 * time.Second

// awaitTable holds the elections back until the table stands, or this director could hold a VIP and refuse its clients
// itself. A table that cannot be made in time is no reason to leave a VIP to nobody.
func awaitTable(ctx context.Context, synced <-chan struct{}, fatal <-chan error, log *slog.Logger) error {
	limit := time.NewTimer(tableWithin)
	defer limit.Stop()
	select {
	case <-synced:
	case err := <-fatal:
		return err
	case <-limit.C:
		log.Warn("the IPVS table does not stand yet; taking part in elections all the same", "after", tableWithin.String())
	case <-ctx.Done():
	}
	return nil
}

// owns says which virtual servers are ours: the file's, and those that this daemon recorded before it made them.
func (d *Director) owns(t *table) func(lvs.Key) bool {
	return func(key lvs.Key) bool {
		if slices.ContainsFunc(t.cfg.Load().VirtualServers, func(v config.VirtualServer) bool { return lvs.KeyOf(v) == key }) {
			return true
		}
		return slices.Contains(d.ledger.Services(), serviceRecord(key))
	}
}

func serviceRecord(key lvs.Key) ledger.Service {
	return ledger.Service{Protocol: key.Protocol, Address: key.Address.String(), Port: strconv.Itoa(int(key.Port))}
}

// recordServices writes down what is about to be ours, forgetServices what is not any more.
func (d *Director) recordServices(want []lvs.Service) {
	all := make([]ledger.Service, len(want))
	for i, s := range want {
		all[i] = serviceRecord(s.Key)
	}
	d.saved(d.ledger.RecordService(all...))
}

func (d *Director) forgetServices(gone []lvs.Key) {
	all := make([]ledger.Service, len(gone))
	for i, key := range gone {
		all[i] = serviceRecord(key)
	}
	d.saved(d.ledger.ForgetService(all...))
}

// withdrawTable deletes the virtual servers that are ours. The ledger forgets only what is gone.
func (d *Director) withdrawTable() error {
	if d.table == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	if err := d.table.loop.Withdraw(ctx); err != nil {
		return fmt.Errorf("withdraw the virtual servers: %w", errors.Join(err, d.table.kernel.Close()))
	}
	d.saved(d.ledger.SetServices(nil))
	return d.table.kernel.Close()
}
