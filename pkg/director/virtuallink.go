package director

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// VirtualLinks adds and removes the interfaces for VIPs.
type VirtualLinks interface {
	Add(kernel.VirtualLink) error
	Remove(v kernel.VirtualLink, index int) (bool, error)
	Close() error
}

// linkKernel lists interfaces by one handle and changes them by another.
type linkKernel struct {
	VirtualLinks
	addresses Addresses
}

func (k linkKernel) Links() ([]kernel.Link, error) { return k.addresses.Links() }

func newLinks(k linkKernel, sysctls reconcile.SysctlKernel, state *stateFile, log *slog.Logger) *reconcile.Links {
	return reconcile.NewLinks(reconcile.LinkOptions{Kernel: k, Sysctls: sysctls, Records: state, Saved: state.saved, Log: log})
}

// removeLinks removes the interfaces of the state file that are present and still are what was added. Another program's
// interface is never recorded, and stays.
func removeLinks(l *loops, log *slog.Logger) error {
	recorded := l.state.Links()
	if len(recorded) == 0 {
		return nil
	}
	links, err := l.virtual.Links()
	if err != nil {
		return fmt.Errorf("virtual interfaces: %w", err)
	}
	var failed []error
	for _, v := range recorded {
		for _, have := range links {
			if have.Name != v.Name || have.Kind != v.Kind || v.HardwareAddr != "" && have.HardwareAddr != v.HardwareAddr {
				continue
			}
			removed, err := l.virtual.Remove(v, have.Index)
			if removed {
				log.Info("removed a virtual interface", "interface", v.Name)
			}
			failed = append(failed, err)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	l.state.saved(l.state.SetLinks(nil))
	return nil
}
