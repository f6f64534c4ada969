package config

import (
	"iter"
	"net/netip"
	"slices"
)

// LocalServer is a real server on the machine of a director, with a forwarding method that leaves the VIP as the
// destination.
type LocalServer struct {
	VirtualServer string
	RealServer    string
	Director      string
	Forward       Forward
	// Unmarked: rules of others give its packets the mark of the virtual server (marking: none). It is not known which packets
	// these are, so nothing tells those that have been balanced from others.
	Unmarked bool
}

// LocalServers returns the real servers with forward: dr or tun that run on a director, if there are several directors:
// while another director is MASTER, theirs would balance the connections that it receives once more, because its table has
// the virtual server too (ip_vs_in at LOCAL_IN).
func (c *Config) LocalServers() []LocalServer {
	var all []LocalServer
	for _, v := range c.VirtualServers {
		for _, r := range v.RealServers {
			if d, found := directorOf(c.Directors, v.ForwardTo(r), r.Name, r.Address); found {
				all = append(all, LocalServer{v.Name, r.Name, d, v.ForwardTo(r), v.Mark != 0 && v.Marked == nil})
			}
		}
	}
	return all
}

// LocalTo yields the endpoints of which a director is a real server too, with forward: dr, and that real server, if there are
// several directors: what another one sends to them has been balanced.
func (c *Config) LocalTo(node string) iter.Seq2[VirtualServer, RealServer] {
	return func(yield func(VirtualServer, RealServer) bool) {
		for _, v := range c.VirtualServers {
			for _, r := range v.RealServers {
				if d, found := directorOf(c.Directors, v.ForwardTo(r), r.Name, r.Address); !found || d != node || v.ForwardTo(r) != DR {
					continue
				}
				for one := range v.Endpoints() {
					if !yield(one, r) {
						return
					}
				}
			}
		}
	}
}

// AddressesOfOthers returns the addresses of the directors other than node, also as real servers.
func (c *Config) AddressesOfOthers(node string) []netip.Addr {
	var all []netip.Addr
	for _, d := range c.Directors {
		if d.Name != node {
			all = append(all, d.Address)
		}
	}
	for _, v := range c.VirtualServers {
		for _, r := range v.RealServers {
			if d, found := directorOf(c.Directors, DR, r.Name, r.Address); found && d != node {
				all = append(all, r.Address)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
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

// checkLocalServers warns about real servers that are directors too, in a tunnel or by a mark that others set, once for each.
func (c *contents) checkLocalServers() {
	directors := bare(c.directors)
	type warning struct{ director, why string }
	warned := map[warning]bool{}
	for _, s := range c.services {
		for _, r := range s.v.members() {
			d, found := directorOf(directors, r.v.Forward, r.v.Name, r.v.Address)
			why, hint := "forward: tun", "use forward: dr, or separate machines"
			if r.v.Forward == DR {
				why, hint = "marking: none", "use marking: nftables, or separate machines"
				found = found && s.v.Mark != 0 && s.v.Marked == nil
			}
			if one := (warning{d, why}); found && !warned[one] {
				warned[one] = true
				r.at.locate("address").warn(hint,
					"%s is director %s too: with %s, while another director is MASTER, it balances connections that it receives once more, and some of them fail",
					r.v.Name, d, why)
			}
		}
	}
}
