package marks

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
)

// beforeIPVS is the priority of both chains: IPVS has 98 and 99 in the hook input, and -99 and -98 in the hook output
// (net/netfilter/ipvs/ip_vs_core.c). In the hook input, datagrams of IPv4 are whole again (ip_local_deliver), and so are those
// of IPv6 wherever IPVS is in use, which loads nf_defrag_ipv6.
const beforeIPVS = -150

// family is what differs between the address families.
type family struct {
	name     string // in the names of sets
	protocol byte   // NFPROTO_…
	address  nftables.SetDatatype
	at, size uint32 // of the destination in the IP header
}

func families() []family {
	return []family{{"ipv4", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 16, 4}, {"ipv6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 24, 16}}
}

// has reports whether an address is of the family.
func (f family) has(a netip.Addr) bool { return a.BitLen() == int(f.size)*8 }

// first is the register that a concatenation begins with, which holds 16 bytes. The others of it have 4 each.
const first = unix.NFT_REG_1

// concatenated returns the registers of the protocol and the port, after the address in first.
func (f family) concatenated() (protocol, port uint32) {
	if f.size == 16 {
		return unix.NFT_REG_2, unix.NFT_REG32_05
	}
	return unix.NFT_REG32_01, unix.NFT_REG32_02
}

// destination loads the address, protocol and port of a packet's destination; with every port without the last.
func (f family) destination(every bool) []expr.Any {
	protocol, port := f.concatenated()
	all := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: first}, &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{f.protocol}},
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: f.at, Len: f.size, DestRegister: first},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: protocol},
	}
	if every {
		return all
	}
	return append(all, &expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2, DestRegister: port})
}

// setMark gives a packet a mark, which the kernel has in the byte order of the machine.
func setMark(mark uint32) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: first, Data: binary.NativeEndian.AppendUint32(nil, mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: first},
	}
}

// key is an endpoint in a set: each part fills a multiple of 4 bytes.
func key(e kernel.Endpoint) []byte {
	k := append(e.At.Addr().AsSlice(), e.Protocol, 0, 0, 0)
	if e.At.Port() == 0 {
		return k
	}
	return append(binary.BigEndian.AppendUint16(k, e.At.Port()), 0, 0)
}

// The sets of local delivery. Those of endpoints are groups with the mark kernel.LocalMark.
const directors = "directors"

// addresses is the set of the addresses of a family with local delivery.
func (f family) addresses() string { return "local_addresses_" + f.name }

// ethernet are the bytes of ARPHRD_ETHER, the type of an interface.
func ethernet() []byte { return binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER) }

// fromDirectors matches the packets that another director sends by Ethernet: what it balances has the client's address as source.
func fromDirectors() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFTYPE, Register: first}, &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: ethernet()},
		&expr.Payload{Base: expr.PayloadBaseLLHeader, Offset: 6, Len: 6, DestRegister: first},
		&expr.Lookup{SourceRegister: first, SetName: directors},
	}
}

// fromLocal matches the packets of this host whose source is an address with local delivery.
func (f family) fromLocal() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: first}, &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{f.protocol}},
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: f.at - f.size, Len: f.size, DestRegister: first},
		&expr.Lookup{SourceRegister: first, SetName: f.addresses()},
	}
}

// localSets returns the sets of local delivery but those of endpoints.
func localSets(m kernel.Marking) []nftable.Set {
	set := func(name string, keys nftables.SetDatatype) nftable.Set {
		return nftable.Set{Set: nftables.Set{Name: name, KeyType: keys, KeyByteOrder: binaryutil.BigEndian}}
	}
	hardware := set(directors, nftables.TypeEtherAddr)
	for _, a := range m.Hardware {
		hardware.Elements = append(hardware.Elements, nftables.SetElement{Key: a[:]})
	}
	all := []nftable.Set{hardware}
	for _, f := range families() {
		own, last := set(f.addresses(), f.address), netip.Addr{}
		for _, e := range m.Local { // sorted
			if a := e.At.Addr(); f.has(a) && a != last {
				own.Elements, last = append(own.Elements, nftables.SetElement{Key: a.AsSlice()}), a
			}
		}
		all = append(all, own)
	}
	return all
}

// group are the endpoints of a family with one mark and with a port, or with every port.
type group struct {
	family
	mark  uint32
	every bool
}

// name is that of the set with the endpoints. There is no map of endpoints and marks, because nft(8) would show the marks in
// another byte order: the library cannot tell it which one they have.
func (g group) name() string {
	if g.mark == kernel.LocalMark && g.every {
		return "local_every_port_" + g.family.name
	} else if g.mark == kernel.LocalMark {
		return "local_" + g.family.name
	}
	if g.every {
		return fmt.Sprintf("mark_%d_every_port_%s", g.mark, g.family.name)
	}
	return fmt.Sprintf("mark_%d_%s", g.mark, g.family.name)
}

func (g group) rule() []expr.Any {
	return slices.Concat(g.destination(g.every), []expr.Any{&expr.Lookup{SourceRegister: first, SetName: g.name()}}, setMark(g.mark))
}

func (g group) set(elements []nftables.SetElement) (nftable.Set, error) {
	parts := []nftables.SetDatatype{g.address, nftables.TypeInetProto}
	if !g.every {
		parts = append(parts, nftables.TypeInetService)
	}
	keys, err := nftables.ConcatSetType(parts...)
	return nftable.Set{
		Set:      nftables.Set{Name: g.name(), KeyType: keys, Concatenation: true, KeyByteOrder: binaryutil.BigEndian},
		Elements: elements,
	}, err
}

// grouped returns the groups in the order of their rules, of which the last one counts: a port of its own counts more than
// every port, and local delivery more than both.
func grouped(m kernel.Marking) (order []group, elements map[group][]nftables.SetElement) {
	elements = map[group][]nftables.SetElement{}
	for _, f := range families() {
		local := make([]kernel.MarkedEndpoint, len(m.Local))
		for n, e := range m.Local {
			local[n] = kernel.MarkedEndpoint{Endpoint: e, Mark: kernel.LocalMark}
		}
		for _, e := range slices.Concat(m.Endpoints, local) {
			if !f.has(e.At.Addr()) {
				continue
			}
			g := group{f, e.Mark, e.At.Port() == 0}
			if len(elements[g]) == 0 {
				order = append(order, g)
			}
			elements[g] = append(elements[g], nftables.SetElement{Key: key(e.Endpoint)})
		}
	}
	slices.SortStableFunc(order, func(a, b group) int {
		switch {
		case (a.mark == kernel.LocalMark) != (b.mark == kernel.LocalMark):
			return map[bool]int{true: 1, false: -1}[a.mark == kernel.LocalMark]
		case a.every == b.every:
			return cmp.Compare(a.mark, b.mark)
		case a.every:
			return -1
		}
		return 1
	})
	return order, elements
}

// table returns the table for m.
func table(m kernel.Marking) (nftable.Table, error) {
	t := nftable.Table{Name: kernel.MarkTable}
	var input, output [][]expr.Any
	if len(m.Local) > 0 {
		t.Sets = localSets(m)
	}
	order, elements := grouped(m)
	for _, g := range order {
		s, err := g.set(elements[g])
		if err != nil {
			return t, fmt.Errorf("the set %s: %w", g.name(), err)
		}
		t.Sets = append(t.Sets, s)
		if g.mark == kernel.LocalMark {
			input, output = append(input, slices.Concat(fromDirectors(), g.rule())), append(output, slices.Concat(g.fromLocal(), g.rule()))
			continue
		}
		input, output = append(input, g.rule()), append(output, g.rule())
	}
	t.Chains = []nftable.Chain{
		{Name: "input", Hook: nftables.ChainHookInput, Priority: beforeIPVS, Rules: input},
		{Name: "output", Hook: nftables.ChainHookOutput, Priority: beforeIPVS, Rules: output},
	}
	return t, nil
}
