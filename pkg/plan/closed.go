package plan

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// protocols are the numbers of the protocols of virtual servers, as in the IP header.
var protocols = map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}

// closedBy returns the virtual addresses that accept only packets for virtual servers, by the files in use, whichever
// director is MASTER: the rules are there before an address is. IPVS leaves some packets for virtual servers to this host, which
// answers them: those for real servers on it, and those of connections that it does not know.
func closedBy(files []*config.Config) kernel.Closed {
	var c kernel.Closed
	for _, file := range files {
		for _, i := range file.Instances {
			if i.Accepts() {
				continue
			}
			for _, p := range i.Held() {
				c.Addresses = append(c.Addresses, p.Addr())
			}
		}
	}
	c.Addresses = sortedOnce(c.Addresses, netip.Addr.Compare)
	if len(c.Addresses) == 0 {
		return kernel.Closed{}
	}
	for _, file := range files {
		for _, v := range file.VirtualServers {
			if v.Mark != 0 { // whose addresses may not be known
				c.Marks = append(c.Marks, kernel.Mark{Family: v.Family(), Value: v.Mark})
			}
			for one := range v.Endpoints() {
				if _, closed := slices.BinarySearchFunc(c.Addresses, one.Address, netip.Addr.Compare); closed {
					c.Open = append(c.Open, kernel.Endpoint{Protocol: protocols[one.Protocol], At: netip.AddrPortFrom(one.Address, one.Port)})
				}
			}
		}
	}
	c.Open, c.Marks = sortedOnce(c.Open, kernel.Endpoint.Compare), sortedOnce(c.Marks, kernel.Mark.Compare)
	return c
}

func sortedOnce[T comparable](list []T, compare func(a, b T) int) []T {
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}
