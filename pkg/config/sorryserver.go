package config

import (
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

func sorryServerSection(checks *sectionOf[check]) *sectionOf[realServer] {
	s := &sectionOf[realServer]{
		section: section{name: "sorry_server", part: true, what: "a sorry server with address", words: []word{
			keepalived("connect_timeout").write("`timeout` in a check"),
			{names: []string{"quorum", "hysteresis"}, hint: "write it in the virtual server"},
		}},
		rules: (*realServer).validate,
	}
	s.fields = append([]key[realServer]{
		&field[realServer, netip.Addr]{
			name: "address", kind: addressOf(noMachine, value.routableAddress), in: func(rs *realServer) *netip.Addr { return &rs.Address },
			required: "the address of the sorry server",
			doc:      "its own address, of the family of the virtual server's; with `forward: tun` of either family",
			reload:   Another,
			words:    []word{synonyms("ip")},
		},
		&field[realServer, string]{
			name: "name", kind: nodeName, in: func(rs *realServer) *string { return &rs.Name },
			defOf: func(rs *realServer) string { return strings.ReplaceAll(rs.Address.String(), ":", "-") }, unset: "that of the real server with this address, otherwise the address",
			doc:    "the node name, which the agent needs; a server that is also among `real_servers` of another virtual server has its name there",
			reload: Live,
		},
	}, memberFields(checks, "`false`")...)
	return s.build()
}

func sorryServersField(s *sectionOf[realServer]) key[virtualServer] {
	k := mappingsOf[placed[realServer]](&s.section, 1, nil)
	k.text, k.schema.Type = "mapping or list", ""
	return &field[virtualServer, []placed[realServer]]{
		name: "sorry_server", in: func(v *virtualServer) *[]placed[realServer] { return &v.sorry }, kind: k,
		readAs: func(v value, of *virtualServer) []placed[realServer] { return readSorryServers(v, s, of) },
		unset:  "none",
		doc:    "where new connections go while the `quorum` is lost: one or several servers, which are checked as well",
	}
}

// readSorryServers reads one mapping, or a list of them.
func readSorryServers(v value, s *sectionOf[realServer], of *virtualServer) []placed[realServer] {
	items := []value{v}
	if v.node.Kind == yaml.SequenceNode {
		v.notEmpty("at least one sorry server, with address")
		items = v.entries()
	}
	list := make([]placed[realServer], 0, len(items)) // must not be reallocated: values may point into it
	for _, item := range items {
		if o, ok := item.object(&s.section); ok {
			list = append(list, placed[realServer]{v: realServer{of: of, sorry: true}, at: o})
			rs := &list[len(list)-1].v
			s.take(o, rs)
			rs.Role = Sorry
		}
	}
	of.uniqueSorry(list)
	return list
}

// nameSorryServers gives sorry servers without a name that of the machine, if a server of another virtual server tells it: with
// another one they would be another machine for its agent, which would not add their VIPs.
func (c *contents) nameSorryServers() {
	names := map[netip.Addr]string{}
	for _, s := range c.services {
		for _, rs := range s.v.members() {
			if _, known := names[rs.v.Address]; !known && !rs.at.missing("name") && rs.v.Name != "" {
				names[rs.v.Address] = rs.v.Name
			}
		}
	}
	for _, s := range c.services {
		for i := range s.v.sorry {
			rs := &s.v.sorry[i]
			name := names[rs.v.Address]
			taken := slices.ContainsFunc(s.v.members(), func(other placed[realServer]) bool { return other.v.Name == name })
			if name != "" && rs.at.missing("name") && !taken {
				rs.v.Name = name
			}
		}
	}
}

// uniqueSorry rejects a sorry server with the name, or the address and port, of another server of the virtual server.
func (s *virtualServer) uniqueSorry(list []placed[realServer]) {
	for n, rs := range list {
		for _, other := range slices.Concat(s.servers, list[:n]) {
			line := other.at.locate("address").place.Line
			if rs.v.Name != "" && rs.v.Name == other.v.Name {
				rs.at.locate("name").fail("", "%s is a server of this virtual server already, in line %d", rs.v.Name, line)
				break
			}
			if at := netip.AddrPortFrom(rs.v.Address, rs.v.Port); at.Addr().IsValid() && at == netip.AddrPortFrom(other.v.Address, other.v.Port) {
				rs.at.locate("address").fail("", "%s is a server of this virtual server already, in line %d", endpointText(at), line)
				break
			}
		}
	}
}
