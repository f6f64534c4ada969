package config

import "math"

func markFields() []key[virtualServer] {
	return []key[virtualServer]{
		field[virtualServer, uint32]{
			name: "fwmark", kind: wholeNumber[uint32](1, math.MaxUint32), in: func(s *virtualServer) *uint32 { return &s.Mark }, unset: "none",
			instead: []string{"address", "port"},
			doc:     "instead of `address` and `port`: the packets to which the packet filter of the directors gives this mark; unique",
			reload:  Another,
		},
		field[virtualServer, string]{
			name: "marking", kind: oneOf[string](vocabulary{what: "a way of marking", words: []string{"none"}}), in: func(s *virtualServer) *string { return &s.marking },
			unset:  "required with `fwmark`",
			doc:    "`none`: rules of your own set the mark",
			reload: Live,
		},
	}
}

// checkMark compares the keys of a virtual server with a firewall mark.
func (s *virtualServer) checkMark(o object) {
	if s.Mark == 0 {
		if v, given := o.fields["marking"]; given && o.missing("fwmark") {
			v.fail("remove it, or add fwmark", "is for a virtual server with a firewall mark")
		}
		return
	}
	if o.missing("marking") {
		o.locate("marking").fail("write marking: none, and add rules of your own that set the mark", "is required with fwmark")
	}
	for _, name := range []string{"address", "addresses", "port", "ports"} {
		if v, given := o.fields[name]; given {
			v.fail("remove it", "the rules that set the mark say which packets these are")
		}
	}
	for _, rs := range s.servers[min(1, len(s.servers)):] {
		if first := s.servers[0].v.Address; rs.v.Address.IsValid() && first.IsValid() && rs.v.Address.BitLen() != first.BitLen() {
			rs.at.locate("address").fail("write another virtual server for it, with the same mark", "%s is of another family than %s", rs.v.Address, first)
		}
	}
	if p := s.Persistence; p != nil && p.Netmask == 0 && len(s.servers) > 0 {
		p.Netmask = s.servers[0].v.Address.BitLen()
	}
}
