package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// vips lists what the address loop keeps while an instance is MASTER.
func (d *Director) vips(cfg *config.Config) []reconcile.VIPs {
	all := make([]reconcile.VIPs, 0, len(cfg.Instances))
	for _, base := range cfg.Instances {
		all = append(all, vipsOf(base.For(d.name)))
	}
	return all
}

// vipsOf are those of an instance that is resolved for this node.
func vipsOf(i config.Instance) reconcile.VIPs {
	return reconcile.VIPs{Instance: config.InstanceID(i.Name), Interface: i.Interface, Addresses: i.VirtualAddresses, Lease: i.Lease}
}

// isVIP says whether an address is a VIP of the file, which must never be the source of anything.
func isVIP(cfg *config.Config) func(netip.Addr) bool {
	all := map[netip.Addr]bool{}
	for _, i := range cfg.Instances {
		for _, p := range i.VirtualAddresses {
			all[p.Addr()] = true
		}
	}
	return func(a netip.Addr) bool { return all[a] }
}

// records lists the VIPs of a cluster file as the ledger names them.
func (d *Director) records(cfg *config.Config) []kernel.IfAddr {
	var all []kernel.IfAddr
	for _, v := range d.vips(cfg) {
		for _, p := range v.Addresses {
			all = append(all, kernel.IfAddr{Interface: v.Interface, Prefix: p})
		}
	}
	return all
}

// removeVIPs removes the VIPs that are there, those of the file and those the ledger names. Before the first advert they
// are what a director that was killed left behind, which must not answer for a VIP that it does not hold.
func (d *Director) removeVIPs(cfg *config.Config) error {
	found, err := d.addr.List("")
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	ours := append(d.records(cfg), d.ledger.Addresses()...)
	var failed []error
	for _, a := range found {
		if !slices.Contains(ours, a.IfAddr()) {
			continue
		}
		if err := d.addr.Remove(a.Interface, a.Prefix); err != nil {
			failed = append(failed, fmt.Errorf("remove the VIP %s that is left on %s: %w", a.Prefix, a.Interface, err))
			continue
		}
		d.log.Info("removed a VIP that was left", "interface", a.Interface, "vip", a.Prefix.String())
	}
	return errors.Join(failed...)
}

// recordVIPs writes down the addresses that this daemon may add, before it adds any: the take-over itself must not wait
// for a disk.
func (d *Director) recordVIPs(cfg *config.Config) { d.saved(d.ledger.SetAddresses(d.records(cfg))) }

// missing lists the VIPs that are not among this machine's addresses.
func missing(vips []reconcile.VIPs, local []addr.Address) []kernel.IfAddr {
	there := map[kernel.IfAddr]bool{}
	for _, a := range local {
		there[a.IfAddr()] = true
	}
	var all []kernel.IfAddr
	for _, v := range vips {
		for _, p := range v.Addresses {
			if at := (kernel.IfAddr{Interface: v.Interface, Prefix: p}); !there[at] {
				all = append(all, at)
			}
		}
	}
	return all
}

// misplaced lists the VIPs that stand before this machine's own address on their interface, in the kernel's order: of a
// packet without a source the first one becomes it (inet_select_addr in net/ipv4/devinet.c).
func misplaced(local []addr.Address, vip func(netip.Addr) bool) []kernel.IfAddr {
	var all []kernel.IfAddr
	for n, a := range local {
		behind := func(b addr.Address) bool {
			return b.Interface == a.Interface && b.Global && b.Prefix.Addr().Is4() && !vip(b.Prefix.Addr())
		}
		if a.Prefix.Addr().Is4() && vip(a.Prefix.Addr()) && !slices.ContainsFunc(local[:n], behind) && slices.ContainsFunc(local[n+1:], behind) {
			all = append(all, a.IfAddr())
		}
	}
	return all
}

// saved takes note of whether the ledger reached the disk. Where it did not, the ledger remembers in memory, and a full
// disk is no reason to let the service down: it is said once, and the work goes on.
func (d *Director) saved(err error) {
	var text *string
	if err != nil {
		text = new(err.Error())
	}
	switch before := d.unsaved.Swap(text); {
	case err != nil && before == nil:
		d.log.Warn("cannot save what is ours in the kernel; a crash now would forget some of it", "error", err)
	case err == nil && before != nil:
		d.log.Info("what is ours in the kernel is saved again")
	}
}

// keepLedger saves what could not be saved and restores what somebody removed, apart from the director's own goroutine:
// a disk that hangs must not keep a lost carrier waiting.
func (d *Director) keepLedger(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			d.saved(d.ledger.Keep())
		}
	}
}
