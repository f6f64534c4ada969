package plan

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Quiet is what kernel.Quiet has of an instance while another director holds its addresses, and a moment longer. With the zero
// value it has nothing.
type Quiet struct {
	Addresses map[config.InstanceID][]netip.Addr // those with a virtual server of TCP, sorted
	// Own are those on which this machine answers clients itself while another director holds them, as a real server; sorted. It
	// must then reset connections that it does not know.
	Own []netip.Addr
}

func (q Quiet) equal(b Quiet) bool {
	return maps.EqualFunc(q.Addresses, b.Addresses, slices.Equal) && slices.Equal(q.Own, b.Own)
}

// quietBy returns what is quiet by a file: nothing without connection synchronization, by which a connection becomes known.
func quietBy(cfg *config.Config, node string, local []kernel.Address) Quiet {
	if cfg.ConnectionSync == nil {
		return Quiet{}
	}
	served, marked := map[netip.Addr]bool{}, map[kernel.Family]bool{}
	q := Quiet{Addresses: map[config.InstanceID][]netip.Addr{}}
	for _, v := range cfg.VirtualServers {
		if v.Mark != 0 { // whose addresses and protocols are not known
			marked[v.Family()] = true
		} else if v.Protocol != "tcp" {
			continue
		}
		for one := range v.Endpoints() {
			served[one.Address] = true
		}
	}
	for _, i := range cfg.Instances {
		for _, p := range i.Held() {
			if a := p.Addr(); served[a] || marked[kernel.FamilyOf(a)] {
				q.Addresses[i.ID()] = append(q.Addresses[i.ID()], a)
			}
		}
		q.Addresses[i.ID()] = sortedOnce(q.Addresses[i.ID()], netip.Addr.Compare)
	}
	q.Own = answeredHere(cfg, node, local)
	return q
}

// answeredHere returns the virtual addresses on which this machine is a real server that answers clients: by the file, whether it
// has the address yet or not, and those that it has without a lease, from an agent or another program.
func answeredHere(cfg *config.Config, node string, local []kernel.Address) (all []netip.Addr) {
	for _, s := range cfg.LocalServers() {
		for _, v := range cfg.VirtualServers {
			if s.Director != node || s.VirtualServer != v.Name {
				continue
			}
			for one := range v.Endpoints() {
				all = append(all, one.Address)
			}
		}
	}
	for _, i := range cfg.Instances {
		for _, p := range i.Held() {
			if slices.ContainsFunc(local, func(a kernel.Address) bool { return a.Prefix.Addr() == p.Addr() && !Leased(a) }) {
				all = append(all, p.Addr())
			}
		}
	}
	return sortedOnce(all, netip.Addr.Compare)
}
