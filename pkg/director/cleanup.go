package director

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// Cleanup removes what a dead daemon left in the kernel: its VIPs, and unless addressesOnly its virtual servers and
// sysctls as well. It refuses while a daemon holds the state directory. Options.Config may be empty when the cluster
// file cannot be used: then only what the stateFile names is removed.
func Cleanup(o Options, addressesOnly bool) (err error) {
	d := New(o)
	l, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.kernel.Close(), l.state.Close()) }()
	if err := l.state.Held(); err != nil { // a daemon may be running
		return err
	}
	if err := removeVIPs(l, d.claims(), d.log); err != nil {
		return err
	}
	if addressesOnly {
		return l.state.SetAddresses(nil)
	}
	switch err := find(o.Kernel, &config.Config{}); {
	case err == nil:
		if err := l.table.open(); err != nil {
			return err
		}
	case !errors.Is(err, ipvs.ErrNoIPVS): // without IPVS there is nothing of ours in it
		return err
	}
	return withdraw(l, d.claims(), d.log)
}

// withdraw leaves nothing of ours in the kernel. The address loop has removed the VIPs; only what failed then is left of
// them. One thing that cannot be removed keeps nothing else from being removed.
func withdraw(l *loops, ours plan.Claims, log *slog.Logger) error {
	return errors.Join(withdrawVIPs(l, ours, log), l.table.withdraw(ours.Table), l.sysctls.GiveBack(nil))
}

func withdrawVIPs(l *loops, ours plan.Claims, log *slog.Logger) error {
	if err := removeVIPs(l, ours, log); err != nil {
		return err
	}
	l.state.saved(l.state.SetAddresses(nil))
	return nil
}

// removeVIPs removes the VIPs that are there, those of the file and those the stateFile names. Before the first advert they
// are what a director that was killed left behind, which must not answer for a VIP that it does not hold.
func removeVIPs(l *loops, ours plan.Claims, log *slog.Logger) error {
	found, err := l.kernel.List("")
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	known := slices.Concat(ours.Records, l.state.Addresses())
	var failed []error
	for _, a := range found {
		if !slices.Contains(known, a.IfAddr()) {
			continue
		}
		if err := l.kernel.Remove(a.Interface, a.Prefix); err != nil {
			failed = append(failed, fmt.Errorf("remove the VIP %s that is left on %s: %w", a.Prefix, a.Interface, err))
			continue
		}
		log.Info("removed a VIP that was left", "interface", a.Interface, "vip", a.Prefix.String())
	}
	return errors.Join(failed...)
}
