package plan

import (
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// overMTU says that the adverts of an instance do not fit into a packet of its interface; "" if they do. An advert
// in fragments would be lost with each of them, so keepalived does not send such adverts either.
func overMTU(cfg config.Instance, mtu int) string {
	count := len(cfg.Advertised())
	most := vrrp.MostAddresses(cfg.ProtocolVersion, cfg.Family(), mtu)
	if mtu <= 0 || count <= most {
		return ""
	}
	return fmt.Sprintf("an advert with %d addresses has %d bytes, and the MTU of %s is %d, enough for %d addresses: "+
		"raise the MTU (ip link set %s mtu), or move some of them to excluded_addresses",
		count, vrrp.AdvertSize(cfg.ProtocolVersion, cfg.Family(), count), cfg.Interface, mtu, most, cfg.Interface)
}

// fit adds a fault if the adverts do not fit into the MTU.
func (i *Instance) fit(link Link) {
	if text := overMTU(i.Config, link.MTU); text != "" {
		i.own = append(i.own, Fault{Reason: text, Misfit: true})
	}
}

// OverMTU returns the instances of a file whose adverts do not fit into the MTU of their interfaces.
func OverMTU(cfg *config.Config, node string, known []kernel.Link) config.Problems {
	var problems config.Problems
	for _, i := range cfg.ForNode(node).Instances {
		at := slices.IndexFunc(known, func(k kernel.Link) bool { return k.Name == i.Interface })
		if at < 0 {
			continue
		}
		if text := overMTU(i, known[at].MTU); text != "" {
			problems = append(problems, cfg.Problem(i.VirtualAddressesAt, text, ""))
		}
	}
	return problems
}
