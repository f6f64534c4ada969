package director

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

func toNobodyCases() []codesCase {
	return []codesCase{
		{On: "MASTER", File: electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [" + vip + "], unicast_peers: [10.78.0.9]}\n", Case: problemtest.Case[*node]{
			Code: problem.AdvertsNotSent, Subject: "a", Fault: "every peer is this host",
			Break: func(n *node) { n.anotherAddress(true) },
			Mend:  func(n *node) { n.anotherAddress(false) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.AdvertsNotSent, Subject: "a", Fault: "a dummy interface",
			Break: func(n *node) { n.kind("dummy") },
			Mend:  func(n *node) { n.kind("veth") },
		}},
	}
}

// kind makes eth0 an interface of another kind.
func (n *node) kind(kind string) {
	n.change(addr.Event{Kind: addr.LinkChanged}, func() { n.links[0].Kind = kind })
}

// anotherAddress gives the host a further address of its own, 10.78.0.9, or takes it away.
func (n *node) anotherAddress(present bool) {
	other := kernel.Address{Interface: "eth1", Prefix: netip.MustParsePrefix("10.78.0.9/24"), Global: true}
	if present {
		n.change(addr.Event{Kind: addr.AddressAdded, Interface: "eth1", Prefix: other.Prefix}, func() { n.addresses = append(n.addresses, other) })
		return
	}
	n.change(addr.Event{Kind: addr.AddressRemoved, Interface: "eth1", Prefix: other.Prefix}, func() { n.drop("eth1", other.Prefix) })
}
