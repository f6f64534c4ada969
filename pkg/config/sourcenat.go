package config

import (
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// maxClientNetworks limits the rules of a virtual server.
const maxClientNetworks = 64

func snatClientsField() key[virtualServer] {
	item := scalar("address or network", Schema{Type: "string"}, value.network)
	k := listOf(item, "list of networks", value.clientNetworks)
	one, most := 1, maxClientNetworks
	k.schema.MinItems, k.schema.MaxItems, k.schema.UniqueItems = &one, &most, true
	return &field[virtualServer, []netip.Prefix]{
		name: "snat_clients", kind: k, in: func(s *virtualServer) *[]netip.Prefix { return &s.SNATClients }, unset: "none",
		doc: "with `forward: nat`, networks of clients that real servers would answer past the director: " +
			"it [replaces their addresses](virtual-servers.md#nat-without-a-route-through-the-director) by its own; `[0.0.0.0/0]`, or `[\"::/0\"]`, is all clients",
		reload: Live,
		words:  []word{synonyms("snat", "masquerade").write("`snat_clients: [10.77.0.0/24]`")},
	}
}

func (v value) clientNetworks() []netip.Prefix {
	if v.node.Kind == yaml.SequenceNode {
		v.notEmpty("at least one network, such as 10.77.0.0/24")
	}
	items := v.items("networks")
	if len(items) > maxClientNetworks {
		v.fail("write larger networks", "%d networks: at most %d", len(items), maxClientNetworks)
		return nil
	}
	lines := map[netip.Prefix]int{}
	var all []netip.Prefix
	for _, item := range items { // an invalid one is kept as the zero Prefix, so that indices stay the same
		p := item.network()
		if line, twice := lines[p]; twice && p.IsValid() {
			item.fail("", "%s is in the list already, in line %d", p, line)
		}
		lines[p] = item.place.Line
		all = append(all, p)
	}
	return all
}

// checkSNAT compares the clients whose address is replaced with the other keys of a virtual server.
func (s *virtualServer) checkSNAT(o object) {
	at, given := o.fields["snat_clients"]
	if !given || len(s.servers) == 0 {
		return
	}
	if !s.forwardsBy(NAT) {
		at.fail("use forward: nat, or remove it", "only forward: nat changes addresses, and no real server here has it")
	}
	if s.OnePacket {
		at.fail("remove one of them", "contradicts one_packet: the answers would not be translated")
	}
	address := s.clientAddress()
	for i, item := range at.entries() {
		if i < len(s.SNATClients) && address.IsValid() && s.SNATClients[i].IsValid() && s.SNATClients[i].Addr().BitLen() != address.BitLen() {
			item.fail("", "%s is a network of another family than the virtual server, which has %s", s.SNATClients[i], kernel.FamilyOf(address))
		}
	}
}

// forwardsBy reports whether a real server or sorry server has a forwarding method.
func (s *virtualServer) forwardsBy(by Forward) bool {
	for _, rs := range s.members() {
		if rs.v.Forward == by || rs.v.Forward == "" { // "" is reported elsewhere
			return true
		}
	}
	return false
}

// clientAddress is an address of the family that the packets of clients have; the zero value if none is known.
func (s *virtualServer) clientAddress() netip.Addr {
	for _, a := range slices.Concat(s.addresses(), []netip.Addr{s.servers[0].v.Address}) {
		if a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// warnSNAT warns about connections that are synchronized in vain.
func (c *contents) warnSNAT() {
	if c.sync == nil {
		return
	}
	for _, s := range c.services {
		if len(s.v.SNATClients) > 0 {
			s.at.locate("snat_clients").warn("", "connections of these clients break at a failover in spite of connection_sync: the other director has another address")
		}
	}
}
