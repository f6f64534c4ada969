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

// Table returns the table that marks packets.
func Table() nftable.Rules[kernel.Marking] {
	return nftable.Rules[kernel.Marking]{Name: kernel.MarkTable, Of: table, Remedy: func(m kernel.Marking) string {
		if len(m.Endpoints) == 0 {
			return "real servers that are directors too need: modprobe nf_tables, use another kernel, or separate machines"
		}
		return "marking: nftables needs: modprobe nf_tables, use another kernel, or write marking: none and add rules of your own"
	}}
}

// setMark gives a packet a mark, which the kernel has in the byte order of the machine.
func setMark(mark uint32) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: nftable.First, Data: binary.NativeEndian.AppendUint32(nil, mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: nftable.First},
	}
}

// The sets of local delivery. Those of endpoints are groups with the mark kernel.LocalMark.
const directors = "directors"

// addresses is the name of the set of the addresses of a family with local delivery.
func addresses(f nftable.Family) string { return "local_addresses_" + f.Name }

// ethernet are the bytes of ARPHRD_ETHER, the type of an interface.
func ethernet() []byte { return binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER) }

// fromDirectors matches the packets that another director sends by Ethernet: what it balances has the client's address as source.
func fromDirectors() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFTYPE, Register: nftable.First}, nftable.Equal(ethernet()...),
		&expr.Payload{Base: expr.PayloadBaseLLHeader, Offset: 6, Len: 6, DestRegister: nftable.First}, nftable.In(directors),
	}
}

// fromLocal matches the packets of this host whose source is an address with local delivery.
func fromLocal(f nftable.Family) []expr.Any {
	return append(f.Is(), f.Source(), nftable.In(addresses(f)))
}

// localSets returns the sets of local delivery but those of endpoints.
func localSets(m kernel.Marking) []nftable.Set {
	hardware := nftable.Set{Set: nftables.Set{Name: directors, KeyType: nftables.TypeEtherAddr, KeyByteOrder: binaryutil.BigEndian}}
	for _, a := range m.Hardware {
		hardware.Elements = append(hardware.Elements, nftables.SetElement{Key: a[:]})
	}
	var own []netip.Addr
	for _, e := range m.Local { // sorted
		own = append(own, e.At.Addr())
	}
	own = slices.Compact(own)
	all := []nftable.Set{hardware}
	for _, f := range nftable.Families() {
		all = append(all, f.Addresses(addresses(f), own))
	}
	return all
}

// group are the endpoints of a family with one mark and with a port, or with every port.
type group struct {
	nftable.Family
	mark  uint32
	every bool
}

// name is that of the set with the endpoints. There is no map of endpoints and marks, because nft(8) would show the marks in
// another byte order: the library cannot tell it which one they have.
func (g group) name() string {
	if g.mark == kernel.LocalMark && g.every {
		return "local_every_port_" + g.Name
	} else if g.mark == kernel.LocalMark {
		return "local_" + g.Name
	}
	if g.every {
		return fmt.Sprintf("mark_%d_every_port_%s", g.mark, g.Name)
	}
	return fmt.Sprintf("mark_%d_%s", g.mark, g.Name)
}

func (g group) rule() []expr.Any {
	return slices.Concat(g.Is(), g.Endpoint(g.every), []expr.Any{nftable.In(g.name())}, setMark(g.mark))
}

// grouped returns the groups in the order of their rules, of which the last one counts: a port of its own counts more than
// every port, and local delivery more than both.
func grouped(m kernel.Marking) (order []group, endpoints map[group][]kernel.Endpoint) {
	endpoints = map[group][]kernel.Endpoint{}
	for _, f := range nftable.Families() {
		local := make([]kernel.MarkedEndpoint, len(m.Local))
		for n, e := range m.Local {
			local[n] = kernel.MarkedEndpoint{Endpoint: e, Mark: kernel.LocalMark}
		}
		for _, e := range slices.Concat(m.Endpoints, local) {
			if !f.Has(e.At.Addr()) {
				continue
			}
			g := group{f, e.Mark, e.At.Port() == 0}
			if len(endpoints[g]) == 0 {
				order = append(order, g)
			}
			endpoints[g] = append(endpoints[g], e.Endpoint)
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
	return order, endpoints
}

// table returns the sets and chains for m.
func table(m kernel.Marking) (nftable.Table, error) {
	var t nftable.Table
	var input, output [][]expr.Any
	if len(m.Local) > 0 {
		t.Sets = localSets(m)
	}
	order, endpoints := grouped(m)
	for _, g := range order {
		s, err := g.Endpoints(g.name(), g.every, endpoints[g])
		if err != nil {
			return t, fmt.Errorf("the set %s: %w", g.name(), err)
		}
		t.Sets = append(t.Sets, s)
		if g.mark == kernel.LocalMark {
			input, output = append(input, slices.Concat(fromDirectors(), g.rule())), append(output, slices.Concat(fromLocal(g.Family), g.rule()))
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
