package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ForNode returns the configuration as run by one director: its per_node values replace the instances' own, and PerNode
// is nil. A director without per_node values runs the instances unchanged. Unicast
// peers and neighbours of BFD sessions are those of the director.
func (c *Config) ForNode(director string) *Config {
	own := *c
	own.Instances = make([]Instance, len(c.Instances))
	for i, in := range c.Instances {
		own.Instances[i] = in.forNode(director)
		if own.Instances[i].Transport.Unicast() {
			own.Instances[i].Transport.Peers.Addresses = c.resolvePeers(in, director)
		}
		own.Instances[i].PeerBFD = c.resolvePeerBFD(in, director)
	}
	if c.ConnectionSync != nil {
		own.ConnectionSync = c.ConnectionSync.forNode(own.Instances)
	}
	return &own
}

func (i Instance) forNode(director string) Instance {
	if own, ok := i.PerNode[director]; ok {
		return own
	}
	i.PerNode = nil
	return i
}

// Reload returns the effect of changing a running instance to next, both for the same director: Another if next is
// another virtual router.
func (i Instance) Reload(next Instance) Reload {
	return change(instanceFields(), &instance{Instance: i}, &instance{Instance: next})
}

// DirectorNamed returns the director with one of these names. names are the possible names of the node, the most
// specific first: the value of --node, or the full and the short host name. The error lists the names in the file.
func (c *Config) DirectorNamed(names ...string) (Director, error) {
	var known []string
	for _, name := range names {
		for _, d := range c.Directors {
			if d.Name == name {
				return d, nil
			}
		}
	}
	for _, d := range c.Directors {
		known = append(known, d.Name)
	}
	return Director{}, c.unknownNode("director", names, known)
}

// NoLonger returns the problem of a valid file that does not name a running director any more; nil if it does.
func (c *Config) NoLonger(director string) Problems {
	var others []string
	for _, d := range c.Directors {
		if d.Name == director {
			return nil
		}
		others = append(others, d.Name)
	}
	message := fmt.Sprintf("this machine, %s, is no longer a director in this file, only %s", director, strings.Join(others, ", "))
	return Problems{c.Problem(c.DirectorsAt, message, "add it again; or stop the director here: systemctl disable --now lvs-director")}
}

// Membership is a real server's membership in one virtual server.
type Membership struct {
	VirtualServer VirtualServer
	RealServer    RealServer
}

// ForwardTo returns the forwarding method of one of the real servers.
func (v VirtualServer) ForwardTo(r RealServer) Forward { return cmp.Or(r.Forward, v.Forward) }

// Forwards reports whether any of the real servers has a forwarding method.
func (v VirtualServer) Forwards(by Forward) bool {
	return len(v.RealServers) == 0 && v.Forward == by ||
		slices.ContainsFunc(v.RealServers, func(r RealServer) bool { return v.ForwardTo(r) == by })
}

// RealServersNamed returns the virtual servers in which a node is a real server, in file order; an empty list is always
// an error. names are as for DirectorNamed: the first one that is in the file is used.
func (c *Config) RealServersNamed(names ...string) ([]Membership, error) {
	for _, name := range names {
		var list []Membership
		for _, s := range c.VirtualServers {
			for _, rs := range s.RealServers {
				if rs.Name == name {
					list = append(list, Membership{s, rs})
				}
			}
		}
		if list != nil {
			return list, nil
		}
	}
	return nil, c.unknownNode("real server", names, c.realServerNames())
}

// realServerNames returns the names of the real servers without duplicates, in file order.
func (c *Config) realServerNames() []string {
	var names []string
	seen := map[string]bool{}
	for _, s := range c.VirtualServers {
		for _, rs := range s.RealServers {
			if !seen[rs.Name] {
				seen[rs.Name] = true
				names = append(names, rs.Name)
			}
		}
	}
	return names
}

func (c *Config) unknownNode(kind string, names, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("%s names no %s", c.File, kind)
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return fmt.Errorf("%s names no %s %s, only %s: choose one with --node",
		c.File, kind, enumerate(quoted, "or"), strings.Join(known, ", "))
}

// Summary summarizes a valid file in one line, without a newline:
//
//	cluster.yaml: ok: 2 directors, 1 VRRP instance, 1 virtual server, 2 real servers
//
// A real server in several virtual servers is counted once. Kinds that are not in the file are left out.
func (c *Config) Summary() string {
	var parts []string
	for _, p := range []struct {
		n     int
		thing string
	}{
		{len(c.Directors), "director"},
		{len(c.Instances), "VRRP instance"},
		{len(c.VirtualServers), "virtual server"},
		{len(c.realServerNames()), "real server"},
		{len(c.Tracks), "track"},
		{len(c.BFDSessions), "BFD session"},
	} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.thing))
		}
	}
	return c.File + ": ok: " + strings.Join(parts, ", ")
}

// count formats a number of things: "1 director", "2 directors".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
