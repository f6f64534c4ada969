package vipfilter

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
)

// afterIPVS is the priority of the chain. In the hook input IPVS has NF_IP_PRI_NAT_SRC - 2 and - 1, 98 and 99
// (net/netfilter/ipvs/ip_vs_core.c).
const afterIPVS = 150

// Table returns the table of virtual addresses that accept no packets.
func Table() nftable.Rules[kernel.Closed] {
	return nftable.Rules[kernel.Closed]{Name: kernel.ClosedTable, Of: table, Remedy: func(kernel.Closed) string {
		return "accept_mode: false needs: use another kernel, or write accept_mode: true"
	}}
}

// family is an address family with the names of what the table has for it.
type family struct {
	nftable.Family
	chain  string // of the packets to its closed addresses
	closed string // the set of these addresses
	open   string // the set of the endpoints with a port
	every  string // the set of the endpoints with every port
	marks  string // the set of the firewall marks
}

func families() []family {
	var all []family
	for _, f := range nftable.Families() {
		all = append(all, family{f, "to_" + f.Name, "closed_" + f.Name, "open_" + f.Name, "every_port_" + f.Name, "marks_" + f.Name})
	}
	return all
}

// The numbers of ICMPv6 messages that a closed address needs (RFC 9568 section 6.1, RFC 4861 section 4).
const (
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
)

func meta(key expr.MetaKey) expr.Any { return &expr.Meta{Key: key, Register: nftable.First} }
func accept() expr.Any               { return &expr.Verdict{Kind: expr.VerdictAccept} }

// entrance is the rule of the base chain: packets to closed addresses leave it for the chain of their family.
func (f family) entrance() []expr.Any {
	return append(f.Is(), f.Destination(), nftable.In(f.closed), &expr.Verdict{Kind: expr.VerdictGoto, Chain: f.chain})
}

// rules are those of the packets to closed addresses of a family. Packets of this host itself pass: they come in by lo,
// which nothing else does.
func (f family) rules() [][]expr.Any {
	rules := [][]expr.Any{
		{meta(expr.MetaKeyIIFNAME), nftable.Equal(append([]byte("lo"), make([]byte, unix.IFNAMSIZ-2)...)...), accept()},
		slices.Concat(f.Is(), f.Endpoint(false), []expr.Any{nftable.In(f.open), accept()}),
		slices.Concat(f.Is(), f.Endpoint(true), []expr.Any{nftable.In(f.every), accept()}),
		{meta(expr.MetaKeyMARK), nftable.In(f.marks), accept()},
	}
	if f.Protocol == unix.NFPROTO_IPV6 { // neighbour discovery uses packets to the address itself
		kind := &expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1, DestRegister: nftable.First}
		for _, message := range []byte{neighbourSolicitation, neighbourAdvertisement} {
			rules = append(rules, []expr.Any{
				meta(expr.MetaKeyL4PROTO), nftable.Equal(unix.IPPROTO_ICMPV6), kind, nftable.Equal(message), accept(),
			})
		}
	}
	return append(rules, []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}})
}

// marked returns the set of marks, which the kernel has in the byte order of the machine.
func (f family) marked(c kernel.Closed) nftable.Set {
	s := nftable.Set{Set: nftables.Set{Name: f.marks, KeyType: nftables.TypeMark, KeyByteOrder: binaryutil.NativeEndian}}
	for _, m := range c.Marks {
		if f.Has(m.Family.Unspecified()) {
			s.Elements = append(s.Elements, nftables.SetElement{Key: binary.NativeEndian.AppendUint32(nil, m.Value)})
		}
	}
	return s
}

// table returns the sets and chains for c.
func table(c kernel.Closed) (nftable.Table, error) {
	var t nftable.Table
	input := nftable.Chain{Name: "input", Hook: nftables.ChainHookInput, Priority: afterIPVS}
	var chains []nftable.Chain
	for _, f := range families() {
		open, err := f.Endpoints(f.open, false, c.Open)
		if err != nil {
			return t, fmt.Errorf("the set %s: %w", f.open, err)
		}
		every, err := f.Endpoints(f.every, true, c.Open)
		if err != nil {
			return t, fmt.Errorf("the set %s: %w", f.every, err)
		}
		t.Sets = append(t.Sets, f.Addresses(f.closed, c.Addresses), open, every, f.marked(c))
		input.Rules = append(input.Rules, f.entrance())
		chains = append(chains, nftable.Chain{Name: f.chain, Rules: f.rules()})
	}
	t.Chains = append([]nftable.Chain{input}, chains...)
	return t, nil
}
