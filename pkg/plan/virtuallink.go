package plan

import (
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// virtualLinks returns the interfaces that a director adds for the instances of a file, in order.
func virtualLinks(cfg *config.Config) (all []kernel.VirtualLink) {
	for _, i := range cfg.Instances {
		if link, used := i.VirtualLink(); used {
			all = append(all, link)
		}
	}
	return all
}

// withLinks adds those links whose names are not taken: during a reload the old interface of that name comes first.
func withLinks(all, more []kernel.VirtualLink) []kernel.VirtualLink {
	all = slices.Clone(all)
	for _, link := range more {
		if !slices.ContainsFunc(all, func(other kernel.VirtualLink) bool { return other.Name == link.Name }) {
			all = append(all, link)
		}
	}
	return all
}

// virtualFaults returns why an instance cannot hold VIPs on the interface that this director adds for it.
func (in Inputs) virtualFaults(cfg config.Instance) []Fault {
	link, used := cfg.VirtualLink()
	if !used || in.Unmade[link.Name] == "" || !slices.ContainsFunc(in.Links, func(l kernel.Link) bool { return l.Name == link.Parent }) {
		return nil // without the parent that is the fault
	}
	return []Fault{{Reason: fmt.Sprintf("no interface %s for the virtual addresses: %s", link.Name, in.Unmade[link.Name]), Misfit: true}}
}
