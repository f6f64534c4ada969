package vipfilter

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// afterIPVS is the priority of the chain. In the hook input IPVS has NF_IP_PRI_NAT_SRC - 2 and - 1, 98 and 99
// (net/netfilter/ipvs/ip_vs_core.c).
const afterIPVS = 150

// family is what differs between the address families.
type family struct {
	chain      string // of the packets to its closed addresses
	closed     string // the set of these addresses
	open       string // the set of the endpoints with a port
	every      string // the set of the endpoints with every port
	marks      string // the set of the firewall marks
	protocol   byte   // NFPROTO_…
	address    nftables.SetDatatype
	at, size   uint32 // of the destination in the IP header
	neighbours bool   // neighbour discovery uses packets to the address itself
}

func families() []family {
	return []family{
		{"to_ipv4", "closed_ipv4", "open_ipv4", "every_port_ipv4", "marks_ipv4", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 16, 4, false},
		{"to_ipv6", "closed_ipv6", "open_ipv6", "every_port_ipv6", "marks_ipv6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 24, 16, true},
	}
}

// The registers of an expression, numbered as the kernel prints them (nft_dump_register in nf_tables_api.c): the first
// one holds 16 bytes, the others 4.
const (
	first       = unix.NFT_REG_1
	afterFour   = unix.NFT_REG32_01
	afterEight  = unix.NFT_REG32_02
	second      = unix.NFT_REG_2 // after 16 bytes
	afterTwenty = unix.NFT_REG32_05
)

// The numbers of ICMPv6 messages that a closed address needs (RFC 9568 section 6.1, RFC 4861 section 4).
const (
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
)

func goTo(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain} }
func accept() expr.Any           { return &expr.Verdict{Kind: expr.VerdictAccept} }

func meta(key expr.MetaKey, register uint32) expr.Any {
	return &expr.Meta{Key: key, Register: register}
}

func is(data ...byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: data}
}

func network(at, size, register uint32) expr.Any {
	return &expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: size, DestRegister: register}
}

func transport(at, size, register uint32) expr.Any {
	return &expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: at, Len: size, DestRegister: register}
}

func in(set string, id uint32) expr.Any {
	return &expr.Lookup{SourceRegister: first, SetName: set, SetID: id}
}

// entrance are the rules of the base chain: packets to closed addresses leave it for the chain of their family.
func entrance(ids map[string]uint32) [][]expr.Any {
	var rules [][]expr.Any
	for _, f := range families() {
		rules = append(rules, []expr.Any{
			meta(expr.MetaKeyNFPROTO, first), is(f.protocol), network(f.at, f.size, first), in(f.closed, ids[f.closed]), goTo(f.chain),
		})
	}
	return rules
}

// rules are those of the packets to closed addresses of a family. Packets of this host itself pass: they come in by lo,
// which nothing else does.
func (f family) rules(ids map[string]uint32) [][]expr.Any {
	protocol, port := uint32(afterFour), uint32(afterEight)
	if f.size == 16 {
		protocol, port = second, afterTwenty
	}
	rules := [][]expr.Any{
		{meta(expr.MetaKeyIIFNAME, first), is(append([]byte("lo"), make([]byte, unix.IFNAMSIZ-2)...)...), accept()},
		{
			meta(expr.MetaKeyNFPROTO, first), is(f.protocol), // for nft(8), which shows the address by it
			network(f.at, f.size, first), meta(expr.MetaKeyL4PROTO, protocol), transport(2, 2, port), in(f.open, ids[f.open]), accept(),
		},
		{
			meta(expr.MetaKeyNFPROTO, first), is(f.protocol),
			network(f.at, f.size, first), meta(expr.MetaKeyL4PROTO, protocol), in(f.every, ids[f.every]), accept(),
		},
		{meta(expr.MetaKeyMARK, first), in(f.marks, ids[f.marks]), accept()},
	}
	if f.neighbours {
		for _, message := range []byte{neighbourSolicitation, neighbourAdvertisement} {
			rules = append(rules, []expr.Any{
				meta(expr.MetaKeyL4PROTO, first), is(unix.IPPROTO_ICMPV6), transport(0, 1, first), is(message), accept(),
			})
		}
	}
	return append(rules, []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}})
}

// has reports whether an address is of the family.
func (f family) has(a netip.Addr) bool { return a.BitLen() == int(f.size)*8 }

// addresses returns the elements of the set of closed addresses.
func (f family) addresses(c kernel.Closed) []nftables.SetElement {
	var all []nftables.SetElement
	for _, a := range c.Addresses {
		if f.has(a) {
			all = append(all, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	return all
}

// endpoints returns the elements of the sets of endpoints: each part of a key fills a multiple of 4 bytes.
func (f family) endpoints(c kernel.Closed) (open, every []nftables.SetElement) {
	for _, e := range c.Open {
		if !f.has(e.At.Addr()) {
			continue
		}
		key := append(e.At.Addr().AsSlice(), e.Protocol, 0, 0, 0)
		if e.At.Port() == 0 {
			every = append(every, nftables.SetElement{Key: key})
			continue
		}
		key = binary.BigEndian.AppendUint16(key, e.At.Port())
		open = append(open, nftables.SetElement{Key: append(key, 0, 0)})
	}
	return open, every
}

// marked returns the elements of the set of marks, which the kernel has in the byte order of the machine.
func (f family) marked(c kernel.Closed) []nftables.SetElement {
	var all []nftables.SetElement
	for _, m := range c.Marks {
		if f.has(m.Family.Unspecified()) {
			all = append(all, nftables.SetElement{Key: binary.NativeEndian.AppendUint32(nil, m.Value)})
		}
	}
	return all
}

// contents are the elements of every set.
func contents(c kernel.Closed) map[string][]nftables.SetElement {
	all := map[string][]nftables.SetElement{}
	for _, f := range families() {
		all[f.closed], all[f.marks] = f.addresses(c), f.marked(c)
		all[f.open], all[f.every] = f.endpoints(c)
	}
	return all
}

// describe returns what an expression does, for comparing rules of ours with those of the kernel.
func describe(e expr.Any) string {
	switch e := e.(type) {
	case *expr.Counter:
		return "counter"
	case *expr.Lookup:
		return fmt.Sprintf("lookup %d %s %v", e.SourceRegister, e.SetName, e.Invert)
	case *expr.Verdict:
		return fmt.Sprintf("verdict %d %s", e.Kind, e.Chain)
	case *expr.Cmp:
		return fmt.Sprintf("cmp %d %d %x", e.Op, e.Register, e.Data)
	case *expr.Meta:
		return fmt.Sprintf("meta %d %d %v", e.Key, e.Register, e.SourceRegister)
	case *expr.Payload:
		return fmt.Sprintf("payload %d %d %d %d", e.Base, e.Offset, e.Len, e.DestRegister)
	default:
		return fmt.Sprintf("%T", e)
	}
}

func describeAll(rules [][]expr.Any) []string {
	var all []string
	for _, r := range rules {
		text := ""
		for _, e := range r {
			text += describe(e) + "; "
		}
		all = append(all, text)
	}
	return all
}

// sets returns the sets of a family, with the numbers from id on.
func (f family) sets(table *nftables.Table, id uint32) ([]*nftables.Set, error) {
	open, err := nftables.ConcatSetType(f.address, nftables.TypeInetProto, nftables.TypeInetService)
	if err != nil {
		return nil, fmt.Errorf("the set %s: %w", f.open, err)
	}
	every, err := nftables.ConcatSetType(f.address, nftables.TypeInetProto)
	if err != nil {
		return nil, fmt.Errorf("the set %s: %w", f.every, err)
	}
	return []*nftables.Set{
		{Table: table, Name: f.closed, ID: id, KeyType: f.address, KeyByteOrder: binaryutil.BigEndian},
		{Table: table, Name: f.open, ID: id + 1, KeyType: open, Concatenation: true, KeyByteOrder: binaryutil.BigEndian},
		{Table: table, Name: f.every, ID: id + 2, KeyType: every, Concatenation: true, KeyByteOrder: binaryutil.BigEndian},
		{Table: table, Name: f.marks, ID: id + 3, KeyType: nftables.TypeMark, KeyByteOrder: binaryutil.NativeEndian},
	}, nil
}
