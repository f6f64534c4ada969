package config

import (
	"math"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Marked are the packets to which this daemon gives the mark of a virtual server.
type Marked struct {
	Addresses []netip.Addr // at least one, of one family
	Packets   []Packets    // at least one
}

// Packets are those of a protocol to some ports.
type Packets struct {
	Protocol string   // "tcp", "udp", "sctp"
	Ports    []uint16 `json:",omitempty"` // none: every port
}

// The ways of marking.
const (
	markingNone     = "none"
	markingNFTables = "nftables"
)

func markFields() []key[virtualServer] {
	return []key[virtualServer]{
		&field[virtualServer, uint32]{
			name: "fwmark", kind: wholeNumber[uint32](1, math.MaxUint32), in: func(s *virtualServer) *uint32 { return &s.Mark }, unset: "none",
			instead: []string{"address", "port"},
			doc:     "instead of `address` and `port`: the packets to which the packet filter of the directors gives this mark; unique",
			reload:  Another,
		},
		&field[virtualServer, string]{
			name: "marking", kind: oneOf[string](vocabulary{what: "a way of marking", words: []string{markingNone, markingNFTables}}), in: func(s *virtualServer) *string { return &s.marking },
			unset:  "required with `fwmark`",
			doc:    "`nftables`: the directors give the mark to `packets` to `address` or `addresses`; `none`: rules of your own set it",
			reload: Live,
		},
		packetsField(packetsSection()),
	}
}

func packetsSection() *sectionOf[Packets] {
	s := &sectionOf[Packets]{section: section{name: "packets", part: true, what: "a mapping with protocol and ports"}}
	s.fields = []key[Packets]{
		&field[Packets, string]{
			name: "protocol", kind: oneOf[string](protocols), in: func(p *Packets) *string { return &p.Protocol }, def: "tcp",
			doc: "of the packets", reload: Live,
		},
		&field[Packets, []uint16]{
			name: "ports", kind: portList(), in: func(p *Packets) *[]uint16 { return &p.Ports }, unset: "every port",
			doc: "that they go to, such as `443` or `[80, 443, 8000-8009]`", reload: Live,
		},
	}
	return s.build()
}

func packetsField(s *sectionOf[Packets]) key[virtualServer] {
	return &field[virtualServer, []placed[Packets]]{
		name: "packets", in: func(v *virtualServer) *[]placed[Packets] { return &v.packets },
		kind:  mappingsOf(&s.section, 1, func(v value) []placed[Packets] { return readPackets(v, s) }),
		unset: "required with `marking: nftables`", doc: "which packets get the mark of `fwmark`",
	}
}

func readPackets(v value, s *sectionOf[Packets]) []placed[Packets] {
	v.notEmpty("at least one mapping with protocol and ports")
	return s.each(v, "packets", Packets{})
}

// checkMark compares the keys of a virtual server with a firewall mark.
func (s *virtualServer) checkMark(o object) {
	if s.Mark == 0 {
		for _, name := range []string{"marking", "packets"} {
			if v, given := o.fields[name]; given && o.missing("fwmark") {
				v.fail("remove it, or add fwmark", "is for a virtual server with a firewall mark")
			}
		}
		return
	}
	if s.Mark == kernel.LocalMark {
		o.locate("fwmark").fail("write another one", "%d is the mark that directors use themselves", s.Mark)
	}
	if o.missing("marking") {
		o.locate("marking").fail("write marking: nftables and packets, or marking: none, and add rules of your own that set the mark", "is required with fwmark")
	}
	without := []string{"port", "ports"}
	if s.marking != markingNFTables {
		without = append(without, "address", "addresses", "packets")
	}
	for _, name := range without {
		if v, given := o.fields[name]; given {
			hint, text := "remove it", "the rules that set the mark say which packets these are"
			if s.marking == markingNFTables {
				hint, text = "write it in packets", "packets says which ports get the mark"
			}
			v.fail(hint, "%s", text)
		}
	}
	if s.marking == markingNFTables {
		s.checkMarked(o)
	}
	for _, rs := range s.members()[min(1, len(s.servers)):] {
		if first := s.members()[0].v.Address; rs.v.Address.IsValid() && first.IsValid() && rs.v.Address.BitLen() != first.BitLen() {
			rs.at.locate("address").fail("write another virtual server for it, with the same mark", "%s is of another family than %s", rs.v.Address, first)
		}
	}
	if p := s.Persistence; p != nil && p.Netmask == 0 && len(s.servers) > 0 {
		p.Netmask = s.servers[0].v.Address.BitLen()
	}
}

// checkMarked makes Marked of the keys that say which packets get the mark. The table of IPVS has no addresses then.
func (s *virtualServer) checkMarked(o object) {
	_, one := o.fields["address"] // missing is false, because fwmark may stand instead of it
	if _, several := o.fields["addresses"]; !one && !several {
		o.locate("address").fail("write the virtual addresses of these packets", "is required with marking: nftables")
	}
	if o.missing("packets") {
		o.locate("packets").fail("write packets: [{protocol: tcp, ports: [80, 443]}]", "is required with marking: nftables")
	}
	m := &Marked{Addresses: slices.Clone(s.addresses()), Packets: bare(s.packets)}
	for i, a := range m.Addresses {
		if first := m.Addresses[0]; a.IsValid() && first.IsValid() && a.BitLen() != first.BitLen() {
			addressAt(o, i).fail("write another virtual server for them, with the same mark", "%s is of another family than %s", a, first)
		}
	}
	for _, rs := range s.members() {
		if first := m.Addresses[0]; rs.v.Address.IsValid() && first.IsValid() && rs.v.Address.BitLen() != first.BitLen() && rs.v.Forward == TUN {
			rs.at.locate("address").fail("", "%s is of another family than %s, which is not supported with fwmark", rs.v.Address, first)
		}
	}
	services := 0
	for _, p := range m.Packets {
		services += max(len(p.Ports), 1) * len(m.Addresses)
	}
	if services > maxServices {
		o.locate("packets").fail("leave ports out: then it is every port", "these ports at each address (%d) are %d: a virtual server has at most %d", len(m.Addresses), services, maxServices)
	}
	s.Marked, s.Address, s.Addresses = m, netip.Addr{}, nil
}

// endpoints yields every protocol, address and port of the packets with the mark; port 0 is every port.
func (m *Marked) endpoints(yield func(protocol string, at netip.AddrPort) bool) {
	if m == nil {
		return
	}
	for _, p := range m.Packets {
		ports := p.Ports
		if len(ports) == 0 {
			ports = []uint16{0}
		}
		for _, a := range m.Addresses {
			for _, port := range ports {
				if !yield(p.Protocol, netip.AddrPortFrom(a, port)) {
					return
				}
			}
		}
	}
}

// family is that of the packets with the mark.
func (m *Marked) family() kernel.Family { return kernel.FamilyOf(m.Addresses[0]) }
