package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// MarkingOf returns which packets get a mark by a file alone.
func MarkingOf(cfg *config.Config, node string) kernel.Marking {
	return markingBy([]*config.Config{cfg.ForNode(node)})
}

// markingBy returns which packets get a mark, by the files in use, whichever director is MASTER: the rules are there before an
// address is. During a reload both files count, and what both mark gets the mark of the newer one, whose virtual server is
// the one in the table. A mark without a virtual server does nothing: then IPVS goes by address and port (ip_vs_service_find).
func markingBy(files []*config.Config) kernel.Marking {
	at := map[kernel.Endpoint]uint32{}
	for _, file := range files {
		for _, v := range file.VirtualServers {
			if v.Mark == 0 {
				continue
			}
			for one := range v.Endpoints() {
				at[kernel.Endpoint{Protocol: protocols[one.Protocol], At: netip.AddrPortFrom(one.Address, one.Port)}] = v.Mark
			}
		}
	}
	var m kernel.Marking
	for e, mark := range at {
		m.Endpoints = append(m.Endpoints, kernel.MarkedEndpoint{Endpoint: e, Mark: mark})
	}
	m.Endpoints = sortedOnce(m.Endpoints, kernel.MarkedEndpoint.Compare)
	return m
}
