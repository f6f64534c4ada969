package realserver

import (
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/ledger"
)

// Found is what is on this node, and what of that the ledger says is ours.
type Found struct {
	Links     []addr.Link
	Addresses []addr.Address
	Sysctls   map[string]string // a key that the kernel does not have is absent

	OwnAddresses []kernel.IfAddr
	OwnSysctls   []ledger.Sysctl
}

// Change is a sysctl's way from one value to another.
type Change struct {
	Key      string
	From, To string
}

// Plan is what has to be done, in this order. The order is the point: an address comes only after the sysctls that keep
// it out of ARP, and those are given back only after it is gone.
type Plan struct {
	Set     []Change        // sysctls that are to be different
	Up      []string        // interfaces to set up
	Put     []kernel.IfAddr // addresses that are missing, or that have a lease
	Remove  []kernel.IfAddr // ours, and no longer wanted
	Restore []Change        // sysctls to give back; not when a Remove failed
	// Forget are recorded sysctls with nothing to give back: the interface is gone, the value never differed, or somebody
	// else has changed it since. The latter are in Foreign too.
	Forget  []string
	Foreign []Change // From is ours, To is what stands there
}

// Diff compares.
func Diff(want State, have Found) Plan {
	var p Plan
	for _, key := range slices.Sorted(maps.Keys(want.Sysctls)) {
		// A key that the kernel lacks belongs to an interface without IPv4, which answers no ARP.
		if value, exists := have.Sysctls[key]; exists && value != want.Sysctls[key] {
			p.Set = append(p.Set, Change{Key: key, From: value, To: want.Sysctls[key]})
		}
	}
	for _, l := range have.Links {
		if slices.Contains(want.Up, l.Name) && !l.Up {
			p.Up = append(p.Up, l.Name)
		}
	}
	for _, a := range want.Addresses {
		if have.hasLink(a.Interface) && !have.holds(a) {
			p.Put = append(p.Put, a)
		}
	}
	for _, a := range have.OwnAddresses {
		if !slices.Contains(want.Addresses, a) {
			p.Remove = append(p.Remove, a)
		}
	}
	for _, s := range have.OwnSysctls {
		if _, wanted := want.Sysctls[s.Key]; !wanted {
			p.giveBack(s, have.Sysctls)
		}
	}
	return p
}

// giveBack plans the way out for a sysctl that is no longer wanted: only what still has our value is ours to change.
func (p *Plan) giveBack(s ledger.Sysctl, have map[string]string) {
	value, exists := have[s.Key]
	switch {
	case exists && value == s.Wrote && value != s.Found:
		p.Restore = append(p.Restore, Change{Key: s.Key, From: value, To: s.Found})
		return
	case exists && value != s.Wrote && value != s.Found:
		p.Foreign = append(p.Foreign, Change{Key: s.Key, From: s.Wrote, To: value})
	}
	p.Forget = append(p.Forget, s.Key)
}

// holds says whether an address is there for good. One with a lease will go by itself, and so counts as missing.
func (f Found) holds(a kernel.IfAddr) bool {
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
