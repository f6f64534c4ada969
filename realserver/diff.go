package realserver

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// Found is the actual state of this node, and what the state file records as ours.
type Found struct {
	Links     []addr.Link
	Addresses []addr.Address
	Sysctls   map[string]string // a key that the kernel does not have is absent

	OwnAddresses []kernel.IfAddr
	OwnSysctls   []statefile.Sysctl
}

// Change is the change of a sysctl's value.
type Change = reconcile.SysctlChange

// Plan is what has to be done, in this order. The order matters: an address is added only after the sysctls that keep
// it out of ARP are set, and these are restored only after it was removed.
type Plan struct {
	Sysctls reconcile.SysctlPlan // its Set is applied first, the rest last and only if no Remove failed
	Up      []string             // interfaces to set up
	Put     []kernel.IfAddr      // addresses that are missing, or that have a lease
	Remove  []kernel.IfAddr      // ours, and no longer wanted
}

// Diff compares the desired with the actual state.
func Diff(want State, have Found) Plan {
	// A key that the kernel lacks belongs to an interface without IPv4, which answers no ARP.
	p := Plan{Sysctls: reconcile.DiffSysctls(want.Sysctls, have.Sysctls, have.OwnSysctls)}
	for _, l := range have.Links {
		if slices.Contains(want.Up, l.Name) && !l.Up {
			p.Up = append(p.Up, l.Name)
		}
	}
	for _, a := range want.Addresses {
		if have.hasLink(a.Interface) && !have.hasPermanent(a) {
			p.Put = append(p.Put, a)
		}
	}
	for _, a := range have.OwnAddresses {
		if !slices.Contains(want.Addresses, a) {
			p.Remove = append(p.Remove, a)
		}
	}
	return p
}

// hasPermanent reports whether an address is present without a lease. An address with a lease will expire, so it counts
// as missing.
func (f Found) hasPermanent(a kernel.IfAddr) bool {
	return slices.ContainsFunc(f.Addresses, func(b addr.Address) bool {
		return b.Interface == a.Interface && b.Prefix == a.Prefix && b.Valid == 0
	})
}

func (f Found) hasLink(name string) bool {
	return slices.ContainsFunc(f.Links, func(l addr.Link) bool { return l.Name == name })
}

func (f Found) isUp(name string) bool {
	return slices.ContainsFunc(f.Links, func(l addr.Link) bool { return l.Name == name && l.Up })
}
