package plan

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// MarkingOf returns which packets get a mark by a file alone.
func MarkingOf(cfg *config.Config, node string) kernel.Marking {
	return markingBy([]*config.Config{cfg.ForNode(node)}, node)
}

// markingBy returns which packets get a mark, by the files in use, whichever director is MASTER: the rules are there before an
// address is. During a reload both files count, and what both mark gets the mark of the newer one, whose virtual server is
// the one in the table. A mark without a virtual server does nothing: then IPVS goes by address and port (ip_vs_service_find).
func markingBy(files []*config.Config, node string) kernel.Marking {
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
	for _, file := range files {
		for one := range file.LocalTo(node) {
			m.Local = append(m.Local, kernel.Endpoint{Protocol: protocols[one.Protocol], At: netip.AddrPortFrom(one.Address, one.Port)})
		}
	}
	if m.Local = sortedOnce(m.Local, kernel.Endpoint.Compare); len(m.Local) == 0 {
		return m
	}
	for _, file := range files {
		m.Directors = append(m.Directors, file.AddressesOfOthers(node)...)
	}
	m.Directors = sortedOnce(m.Directors, netip.Addr.Compare)
	return m
}

// LocalMissing is an address of a virtual server that a director does not have although it is a real server of it too.
type LocalMissing struct {
	Address netip.Addr
	Server  config.ServerID // that real server
	Weight  int             // by the file
}

// localMissing returns the addresses of virtual servers of which a director is a real server too, and that it does not have:
// while another director holds them, it answers none of the connections that it gets.
func localMissing(cfg *config.Config, node string, local []kernel.Address) []LocalMissing {
	var all []LocalMissing
	for one, r := range cfg.LocalTo(node) {
		missing := LocalMissing{one.Address, config.ServerID{Service: one.Name, Server: r.Name}, r.Weight}
		if !slices.Contains(all, missing) && !slices.ContainsFunc(local, func(a kernel.Address) bool { return a.Prefix.Addr() == one.Address }) {
			all = append(all, missing)
		}
	}
	return all
}
