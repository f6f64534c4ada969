package config

import "net/netip"

func directorSection() *sectionOf[Director] {
	s := &sectionOf[Director]{section: section{
		name: "directors",
		what: "a director with name and address",
		reserved: []later{
			{name: "startup_delay", doc: startupDelay},
			{name: "on_stop", doc: onStop},
			{name: "notify", doc: notifyChanges},
		},
		words: []word{
			{names: []string{"priority"}, hint: "write it in vrrp_instances, under per_node"},
			stateIsElected,
		},
	}}
	s.fields = []key[Director]{
		&field[Director, string]{
			name: "name", kind: nodeName, in: func(d *Director) *string { return &d.Name },
			required: "the node name, usually the host name",
			doc:      "the node name; no two directors share one. A reload that does not name the machine is refused",
			reload:   Another,
			words:    []word{keepalived("router_id")},
		},
		&field[Director, netip.Addr]{
			name: "address", kind: addressOf(noMachine+loopback, value.directorAddress), in: func(d *Director) *netip.Addr { return &d.Address },
			required: "the director's own address",
			doc: "the director's own address, the source of its adverts on the network that it is of (on others it is that " +
				"interface's first address, and with IPv6 its link-local address); no two directors share one",
			reload: Live,
			words:  []word{synonyms("ip")},
		},
	}
	return s.build()
}

var stateIsElected = needless("the state is elected, not configured: the highest priority wins", "state")

func readDirectors(v value, s *sectionOf[Director]) []placed[Director] {
	list := s.each(v, "directors", Director{})
	v.notEmpty("at least one director, with name and address")
	unique(list, "name", func(d Director) string { return d.Name })
	unique(list, "address", func(d Director) netip.Addr { return d.Address })
	return list
}

// directorAddress reads the source address of adverts, which the other directors must be able to reach.
func (v value) directorAddress() netip.Addr {
	addr := v.address()
	if addr.IsLoopback() {
		v.fail("", "%s is a loopback address: the other directors cannot receive adverts from it", addr)
		return netip.Addr{}
	}
	return addr
}
