package director

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// Cleanup removes what a daemon that has died left in the kernel: its VIPs and, unless addressesOnly is set, its
// virtual servers and sysctls. It refuses to run while a daemon has the state directory locked. Options.Config may be
// empty if the cluster file cannot be used: then only what the state file lists is removed.
func Cleanup(o Options, addressesOnly bool) (err error) {
	d := New(o)
	l, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.state.Held(); err != nil { // locked: a daemon may be running
		return err
	}
	if err := errors.Join(removeRouting(l, d.claims().Routing, d.log), removeVIPs(l, d.claims().Records, d.log), removeLinks(l, d.log), d.removeVIPRules()); err != nil {
		return err
	}
	if addressesOnly {
		return errors.Join(l.state.SetAddresses(nil), l.state.SetRouting(nil, nil))
	}
	switch err := find(o.Kernel, &config.Config{}); {
	case err == nil:
		if err := l.table.open(); err != nil {
			return err
		}
	case !errors.Is(err, ipvs.ErrNoIPVS): // without IPVS there is no table to clean up
		return err
	}
	return d.withdraw(l)
}

// withdraw removes everything of ours from the kernel. The address loop has already removed the VIPs, except those for
// which that failed. A failure to remove one thing does not prevent the removal of the others.
func (d *Director) withdraw(l *loops) error {
	return errors.Join(d.withdrawVIPs(l), l.sync.withdraw(), l.table.withdraw(d.claims().Table), withdrawRules(l.marks, l.sourceNAT, l.returns), l.sysctls.Restore(nil))
}

func (d *Director) withdrawVIPs(l *loops) error {
	ours := d.claims()
	err := removeRouting(l, ours.Routing, d.log)
	if err == nil {
		l.state.saved(l.state.SetRouting(nil, nil))
	}
	if failed := removeVIPs(l, ours.Records, d.log); failed != nil {
		return errors.Join(err, failed)
	}
	l.state.saved(l.state.SetAddresses(nil))
	return errors.Join(err, removeLinks(l, d.log), withdrawRules(l.vipFilter, l.quiet.loop))
}

// removeVIPs removes the VIPs of the state file, and others of ours, that are present. Before the first advert these are
// VIPs that a killed director left behind: a host must not answer ARP for a VIP that it does not hold. An address without
// a lease was added by another program, and stays.
func removeVIPs(l *loops, others []kernel.IfAddr, log *slog.Logger) error {
	found, err := l.kernel.List("")
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	known := slices.Concat(others, l.state.Addresses())
	var failed []error
	for _, a := range found {
		if !slices.Contains(known, a.IfAddr()) || !plan.Leased(a) {
			continue
		}
		if err := l.kernel.Remove(a.Interface, a.Prefix); err != nil {
			failed = append(failed, fmt.Errorf("remove the leftover VIP %s from %s: %w", a.Prefix, a.Interface, err))
			continue
		}
		log.Info("removed a leftover VIP", "interface", a.Interface, "vip", a.Prefix.String())
	}
	return errors.Join(failed...)
}
