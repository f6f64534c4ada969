package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"

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
}

// needsTable says whether a cluster file balances at all; a director may only elect.
func (d *Director) needsTable(cfg *config.Config) bool { return len(cfg.VirtualServers) > 0 }

// openTable looks for what balancing needs, sets its sysctls and opens the table.
func (d *Director) openTable() error {
	if err := lookForIPVS(d.cfg); err != nil {
		return err
	}
	kernel, err := ipvs.Open()
	if err != nil {
		return err
	}
	if err := d.setSysctls(d.cfg); err != nil {
		return errors.Join(err, kernel.Close())
	}
	d.table = d.newTable(kernel)
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

func (d *Director) newTable(kernel *ipvs.Table) *table {
	t := &table{kernel: kernel}
	t.cfg.Store(d.cfg)
	t.loop = reconcile.NewTable(reconcile.TableOptions{
		Kernel: kernel,
		Audit:  ipvs.Snapshot,
		Desired: func(found []lvs.Service) []lvs.Service {
			return lvs.Desired(t.cfg.Load().VirtualServers, d.condition, found)
		},
		Ours:   d.owns(t),
		Record: d.recordServices,
		Fatal:  func(err error) bool { return errors.Is(err, ipvs.ErrNoIPVS) || errors.Is(err, ipvs.ErrNoScheduler) },
		Log:    d.log,
	})
	return t
}

func (d *Director) startTable() {
	t := d.table
	d.run(func(ctx context.Context) {
		if err := t.loop.Run(ctx); err != nil {
			d.fail(err)
		}
	})
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

// recordServices writes down what is about to be ours. What was ours stays recorded until it is withdrawn.
func (d *Director) recordServices(want []lvs.Service) error {
	all := make([]ledger.Service, len(want))
	for i, s := range want {
		all[i] = serviceRecord(s.Key)
	}
	return d.ledger.RecordService(all...)
}

// withdraw leaves nothing of ours in the kernel; the VIPs are gone already. The ledger forgets only what is gone.
func (d *Director) withdraw() error {
	if d.table != nil {
		ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
		defer cancel()
		if err := d.table.loop.Withdraw(ctx); err != nil {
			return fmt.Errorf("withdraw the virtual servers: %w", err)
		}
		if err := d.table.kernel.Close(); err != nil {
			return err
		}
	}
	if err := d.restoreSysctls(); err != nil {
		return err
	}
	return errors.Join(d.ledger.SetServices(nil), d.ledger.SetAddresses(nil))
}

// wantedSysctls are the kernel settings that balancing needs, and only while it balances.
//
// expire_nodest_conn=1: a connection to a real server that left the table is reset by its next packet instead of being
// dropped in silence for up to 15 minutes (Documentation/networking/ipvs-sysctl.rst).
func (d *Director) wantedSysctls(cfg *config.Config) map[string]string {
	want := map[string]string{}
	for _, v := range cfg.VirtualServers {
		want["net.ipv4.vs.expire_nodest_conn"] = "1"
		if v.Persistence != nil { // or a client keeps coming back to a real server of weight 0
			want["net.ipv4.vs.expire_quiescent_template"] = "1"
		}
		if v.Forward != config.NAT {
			continue
		}
		want["net.ipv4.ip_forward"] = "1" // the replies of the real servers are routed
		// A one-armed director must not tell real servers a shorter way, past itself. Either of the two would send.
		want["net.ipv4.conf.all.send_redirects"] = "0"
		for _, base := range cfg.Instances {
			want["net/ipv4/conf/"+base.For(d.name).Interface+"/send_redirects"] = "0"
		}
	}
	return want
}

func (d *Director) setSysctls(cfg *config.Config) error {
	want := d.wantedSysctls(cfg)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		found, err := d.sysctls.Get(key)
		if err != nil {
			return err
		}
		if found == want[key] {
			continue
		}
		if err := d.ledger.RecordSysctl(ledger.Sysctl{Key: key, Found: found, Wrote: want[key]}); err != nil {
			return err
		}
		if _, err := d.sysctls.Set(key, want[key]); err != nil {
			return err
		}
		d.log.Info("sysctl", "key", key, "from", found, "to", want[key])
	}
	return nil
}

// restoreSysctls gives back the values found, except where somebody else set another one meanwhile.
func (d *Director) restoreSysctls() error {
	for _, changed := range d.ledger.Sysctls() {
		now, err := d.sysctls.Get(changed.Key)
		if err == nil && now == changed.Wrote {
			if _, err := d.sysctls.Set(changed.Key, changed.Found); err != nil {
				return fmt.Errorf("restore a sysctl: %w", err)
			}
		}
		if err := d.ledger.ForgetSysctl(changed.Key); err != nil {
			return err
		}
	}
	return nil
}
