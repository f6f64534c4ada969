package sourcenat

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
)

// Table returns the table that replaces source addresses.
func Table() nftable.Rules[kernel.SourceNAT] {
	return nftable.Rules[kernel.SourceNAT]{Name: kernel.SourceNATTable, Of: table, Remedy: func(kernel.SourceNAT) string {
		return "snat_clients needs: modprobe nft_masq, use another kernel, or remove snat_clients and route the answers of the real servers through the directors"
	}}
}

// group are the virtual servers at one address of one network of clients that one rule matches.
type group struct {
	nftable.Family
	clients netip.Prefix
	address netip.Addr // the zero value with byMark
	kind    kind
}

// kind is how a rule recognizes a virtual server.
type kind string

const (
	byPort     kind = "ports"
	everyPort  kind = "protocols"
	byMark     kind = "marks"
	serversSet      = "servers_"
)

func kindOf(r kernel.Replaced) kind {
	switch {
	case r.Mark != 0:
		return byMark
	case r.To.At.Port() == 0:
		return everyPort
	}
	return byPort
}

// rule is a group with the name of its set of virtual servers.
type rule struct {
	group
	set string
}

// from matches the clients.
func (g group) from() []expr.Any {
	const first = nftable.First
	bits, size := g.clients.Bits(), g.clients.Addr().BitLen()
	if bits == 0 {
		return nil
	}
	match := []expr.Any{g.Source()}
	if bits < size {
		match = append(match, &expr.Bitwise{SourceRegister: first, DestRegister: first, Len: uint32(size / 8), Mask: net.CIDRMask(bits, size), Xor: make([]byte, size/8)})
	}
	return append(match, nftable.Equal(g.clients.Addr().AsSlice()...))
}

// to matches what clients have sent to the virtual servers, of which IPVS has changed the destination.
func (r rule) to() []expr.Any {
	if r.kind == byMark {
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: nftable.First}, nftable.In(r.set)}
	}
	return slices.Concat(nftable.OriginallyTo(r.address), nftable.OriginalPort(r.kind == everyPort), []expr.Any{nftable.In(r.set)})
}

// exprs replaces the source address by that of the interface by which a packet leaves. Only the first packet of a connection comes
// here, and what IPVS sends by direct routing has the address of the virtual server, which is no real server's.
func (r rule) exprs() []expr.Any {
	return slices.Concat(r.Is(), r.from(), r.to(), []expr.Any{r.Destination(), nftable.In(serversSet + r.Name), &expr.Counter{}, &expr.Masq{}})
}

// fill returns the set of virtual servers.
func (r rule) fill(all []kernel.Replaced) (nftable.Set, error) {
	if r.kind != byMark {
		endpoints := make([]kernel.Endpoint, len(all))
		for n, one := range all {
			endpoints[n] = one.To
		}
		return nftable.OriginalPorts(r.set, r.kind == everyPort, endpoints)
	}
	s := nftable.Set{Set: nftables.Set{Name: r.set, KeyType: nftables.TypeMark, KeyByteOrder: binaryutil.NativeEndian}}
	for _, one := range all {
		s.Elements = append(s.Elements, nftables.SetElement{Key: binary.NativeEndian.AppendUint32(nil, one.Mark)})
	}
	return s, nil
}

// grouped returns the groups in the order of their rules, which does not matter: each rule does the same.
func grouped(s kernel.SourceNAT) (order []group, members map[group][]kernel.Replaced) {
	members = map[group][]kernel.Replaced{}
	for _, r := range s.Replaced { // sorted
		for _, f := range nftable.Families() {
			if !f.Has(r.Clients.Addr()) {
				continue
			}
			g := group{f, r.Clients, r.To.At.Addr(), kindOf(r)}
			if len(members[g]) == 0 {
				order = append(order, g)
			}
			members[g] = append(members[g], r)
		}
	}
	return order, members
}

// table returns the sets and the chain for s.
func table(s kernel.SourceNAT) (nftable.Table, error) {
	var t nftable.Table
	for _, f := range nftable.Families() {
		t.Sets = append(t.Sets, f.Addresses(serversSet+f.Name, s.Servers))
	}
	after := nftable.Chain{Name: "postrouting", Type: nftables.ChainTypeNAT, Hook: nftables.ChainHookPostrouting, Priority: int32(*nftables.ChainPriorityNATSource)}
	order, members := grouped(s)
	for n, g := range order {
		r := rule{g, fmt.Sprintf("%s_%d", g.kind, n+1)}
		set, err := r.fill(members[g])
		if err != nil {
			return t, fmt.Errorf("the set %s: %w", r.set, err)
		}
		t.Sets, after.Rules = append(t.Sets, set), append(after.Rules, r.exprs())
	}
	t.Chains = []nftable.Chain{after}
	return t, nil
}
