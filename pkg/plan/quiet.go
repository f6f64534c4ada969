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
}

func (q Quiet) equal(b Quiet) bool { return maps.EqualFunc(q.Addresses, b.Addresses, slices.Equal) }

// quietBy returns what is quiet by a file: nothing without connection synchronization, by which a connection becomes known.
func quietBy(cfg *config.Config) Quiet {
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
	return q
}
