package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// SourceNATOf returns which source addresses are replaced by a file alone.
func SourceNATOf(cfg *config.Config) kernel.SourceNAT { return sourceNATBy([]*config.Config{cfg}) }

// sourceNATBy returns which source addresses are replaced, by the files in use, whichever director is MASTER: the rules are there
// before an address is. A real server may be in other virtual servers, too: the rules also go by what clients connect to.
func sourceNATBy(files []*config.Config) kernel.SourceNAT {
	var s kernel.SourceNAT
	for _, file := range files {
		for _, v := range file.VirtualServers {
			if len(v.SNATClients) == 0 {
				continue
			}
			for _, clients := range v.SNATClients {
				s.Replaced = append(s.Replaced, replaced(v, clients)...)
			}
			for _, r := range v.RealServers {
				if v.ForwardTo(r) == config.NAT {
					s.Servers = append(s.Servers, r.Address)
				}
			}
		}
	}
	s.Replaced, s.Servers = sortedOnce(s.Replaced, kernel.Replaced.Compare), sortedOnce(s.Servers, netip.Addr.Compare)
	return s
}

func replaced(v config.VirtualServer, clients netip.Prefix) []kernel.Replaced {
	if v.Mark != 0 {
		return []kernel.Replaced{{Clients: clients, Mark: v.Mark}}
	}
	var all []kernel.Replaced
	for one := range v.Endpoints() {
		to := kernel.Endpoint{Protocol: protocols[one.Protocol], At: netip.AddrPortFrom(one.Address, one.Port)}
		all = append(all, kernel.Replaced{Clients: clients, To: to})
	}
	return all
}
