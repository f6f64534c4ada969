package config

import (
	"math"
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"
)

// realServer is a RealServer under construction.
type realServer struct {
	RealServer
	of             *virtualServer // has the keys that are read before real_servers
	own            []placed[Check]
	hooks          []Hook
	sorry, standby bool
}

func realServerSection(checks *sectionOf[check]) *sectionOf[realServer] {
	s := &sectionOf[realServer]{
		section: section{
			name: "real_servers", part: true,
			what: "a real server with name and address",
			words: []word{
				keepalived("connect_timeout").write("`timeout` in a check"),
				keepalived("delay_loop").write("`interval` in a check"),
				keepalived("retry", "delay_before_retry", "warmup").write("`fall` and `rise` in a check"),
				needless("is keepalived's word: name serves this purpose", "snmp_name", "virtualhost"),
				keepalived("alpha").write("`initial_state: down` in the virtual server, which is the default"),
			},
		},
		rules: (*realServer).validate,
	}
	s.fields = append([]key[realServer]{
		&field[realServer, string]{
			name: "name", kind: nodeName, in: func(rs *realServer) *string { return &rs.Name },
			required: "the node name, usually the host name",
			doc:      "the node name; unique in the virtual server. One name has one address of each family in the whole file",
			reload:   Live,
		},
		&field[realServer, netip.Addr]{
			name: "address", kind: addressOf(noMachine, value.routableAddress), in: func(rs *realServer) *netip.Addr { return &rs.Address },
			required: "the real server's own address",
			doc:      "the real server's own address, of the family of the virtual server's; with `forward: tun` of either family",
			reload:   Another,
			words:    []word{synonyms("ip")},
		},
	}, append(memberFields(checks, "the virtual server's"), standbyField(), serverHooksField())...)
	return s.build()
}

// memberFields are the keys that real servers and sorry servers have in common.
func memberFields(checks *sectionOf[check], inhibited string) []key[realServer] {
	return []key[realServer]{
		&field[realServer, uint16]{
			name: "port", kind: portNumber, in: func(rs *realServer) *uint16 { return &rs.Port },
			defOf: func(rs *realServer) uint16 { return rs.of.serverPort() }, unset: "the virtual server's",
			doc:    "only `forward: nat` can change it",
			reload: Another,
		},
		forwardOfServerField(),
		tunnelField(tunnelSection()),
		&field[realServer, int]{ // the kernel accepts 31 bits, but returns 16 when the table is read
			name: "weight", kind: wholeNumber[int](0, math.MaxUint16), in: func(rs *realServer) *int { return &rs.Weight }, def: 1,
			doc:    "share of new connections; 0 means none",
			reload: Live,
		},
		thresholdField("upper_threshold", "uthreshold", "no limit", "from how many connections on it gets no new ones; 0 means no limit",
			func(rs *realServer) *uint32 { return &rs.UpperThreshold }),
		thresholdField("lower_threshold", "lthreshold", "three quarters of it", "below how many connections it gets new ones again",
			func(rs *realServer) *uint32 { return &rs.LowerThreshold }),
		checksField(checks, "the virtual server's", "replace the virtual server's checks; `[]` is none",
			func(rs *realServer) *[]placed[Check] { return &rs.own }),
		checksNeeded(func(rs *realServer) *int { return &rs.ChecksNeeded }),
		inhibitField(func(rs *realServer) *bool { return &rs.Inhibit }, func(rs *realServer) bool { return rs.of.inhibit && !rs.sorry }, inhibited),
	}
}

func realServersField(s *sectionOf[realServer]) key[virtualServer] {
	return &field[virtualServer, []placed[realServer]]{
		name: "real_servers", in: func(v *virtualServer) *[]placed[realServer] { return &v.servers },
		kind:     mappingsOf[placed[realServer]](&s.section, 1, nil),
		readAs:   func(v value, of *virtualServer) []placed[realServer] { return readRealServers(v, s, of) },
		required: "a list of real servers, each with name and address",
		doc:      "at least one",
		words:    []word{keepalived("real_server"), synonyms("servers")},
	}
}

func readRealServers(v value, s *sectionOf[realServer], of *virtualServer) []placed[realServer] {
	of.settle()
	list := s.each(v, "real servers", realServer{of: of})
	v.notEmpty("at least one real server, with name and address")
	unique(list, "name", func(rs realServer) string { return rs.Name })
	first := map[netip.AddrPort]int{}
	for _, rs := range list {
		at := netip.AddrPortFrom(rs.v.Address, rs.v.Port)
		if !at.Addr().IsValid() || at.Port() == 0 && !of.manyPorts() {
			continue
		}
		v := rs.at.locate("address")
		if line, ok := first[at]; ok {
			v.fail("", "%s is a real server of this virtual server already, in line %d", endpointText(at), line)
			continue
		}
		first[at] = v.place.Line
	}
	return list
}

// validate resolves the checks of a real server and compares it with its virtual server.
func (rs *realServer) validate(o object) {
	of := rs.of
	if rs.standby {
		rs.Role = Standby
	}
	o.checkNeeded(rs.ChecksNeeded, len(rs.own))
	if of.inherited == nil {
		of.inherited = bare(of.checks)
	}
	rs.Checks = of.inherited
	if v, given := o.fields["checks"]; !given {
		rs.ChecksNeeded = of.ChecksNeeded
	} else {
		rs.Checks = append([]Check{}, bare(rs.own)...)
		of.warnTCP(rs.own, []uint16{rs.Port})
		if len(rs.own) == 0 && v.node.Kind == yaml.SequenceNode {
			v.warn("", "no check: %s stays in the table when it is down", rs.Name)
		}
	}
	rs.checkManyPorts(o)
	rs.checkForward(o)
	rs.checkFamily(o)
	rs.checkThresholds(o)
	if rs.Address.IsLoopback() {
		o.locate("address").warn("write the address that the directors reach it by", "%s means a different host on each machine", rs.Address)
	}
	if rs.Address.IsValid() && (rs.Address == of.Address || slices.Contains(of.Addresses, rs.Address)) {
		o.locate("address").fail("write the real server's own address", "%s is the virtual server's address", rs.Address)
	}
}
