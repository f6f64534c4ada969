package config

import "net/netip"

// LocalServer is a real server on the machine of a director, with a forwarding method that leaves the VIP as the
// destination.
type LocalServer struct {
	VirtualServer string
	RealServer    string
	Director      string
}

// LocalServers returns the real servers with forward: dr or tun that run on a director, if there are several directors:
// while another director is MASTER, theirs balances the connections that it receives once more, because its table has
// the virtual server too (ip_vs_in at LOCAL_IN). It may choose a server that sends them on again.
func (c *Config) LocalServers() []LocalServer {
	var all []LocalServer
	for _, v := range c.VirtualServers {
		for _, r := range v.RealServers {
			if d, found := directorOf(c.Directors, v.ForwardTo(r), r.Name, r.Address); found {
				all = append(all, LocalServer{v.Name, r.Name, d})
			}
		}
	}
	return all
}

// directorOf returns the director that is the machine of a real server.
func directorOf(directors []Director, forward Forward, server string, address netip.Addr) (string, bool) {
	if len(directors) < 2 || forward != DR && forward != TUN {
		return "", false
	}
	for _, d := range directors {
		if d.Name != "" && d.Name == server || d.Address.IsValid() && d.Address == address {
			return d.Name, true
		}
	}
	return "", false
}

// checkLocalServers warns about real servers that are directors too, once for each.
func (c *contents) checkLocalServers() {
	directors := bare(c.directors)
	warned := map[string]bool{}
	for _, s := range c.services {
		for _, r := range s.v.servers {
			if d, found := directorOf(directors, r.v.Forward, r.v.Name, r.v.Address); found && !warned[d] {
				warned[d] = true
				r.at.locate("address").warn("use separate machines",
					"%s is director %s too: with forward: %s, while another director is MASTER, it balances connections that it receives once more, and some of them fail",
					r.v.Name, d, r.v.Forward)
			}
		}
	}
}
