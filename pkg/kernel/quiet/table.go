package quiet

import (
	"context"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
)

// Table is the table in the network namespace of the calling thread. It keeps nothing open. The zero value is ready.
type Table struct{}

// family is what differs between the address families.
type family struct {
	set          string // of the addresses
	protocol     byte   // NFPROTO_…
	address      nftables.SetDatatype
	source, size uint32 // of the source in the IP header
}

func families() []family {
	return []family{
		{"quiet_ipv4", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 12, 4},
		{"quiet_ipv6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 8, 16},
	}
}

const (
	flagsAt = 13 // in the TCP header
	flagRST = 0x04
	flagACK = 0x10
)

// rule drops the resets that answer a packet with an ACK, as those of connections that this host does not know: they have no ACK, in
// contrast to those that refuse an attempt to connect (RFC 9293 section 3.10.7.1, tcp_v4_send_reset). Those that a program of this
// host causes by closing a connection have one too (tcp_send_active_reset), but those that answer data for a connection which
// it has closed before do not: a host that is itself a server on an address drops them. Packets that IPVS forwards come from
// clients or real servers, not from a virtual address of this host.
func (f family) rule() []expr.Any {
	const first = unix.NFT_REG_1
	is := func(b byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{b}} }
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: first}, is(f.protocol),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first}, is(unix.IPPROTO_TCP),
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: flagsAt, Len: 1, DestRegister: first},
		&expr.Bitwise{SourceRegister: first, DestRegister: first, Len: 1, Mask: []byte{flagRST | flagACK}, Xor: []byte{0}}, is(flagRST),
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: f.source, Len: f.size, DestRegister: first},
		&expr.Lookup{SourceRegister: first, SetName: f.set},
		&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// table returns the table for q.
func table(q kernel.Quiet) nftable.Table {
	t := nftable.Table{Name: kernel.QuietTable}
	output := nftable.Chain{Name: "output", Hook: nftables.ChainHookOutput, Priority: int32(*nftables.ChainPriorityFilter)}
	for _, f := range families() {
		set := nftable.Set{Set: nftables.Set{Name: f.set, KeyType: f.address, KeyByteOrder: binaryutil.BigEndian}}
		for _, a := range q.Addresses {
			if a.BitLen() == int(f.size)*8 {
				set.Elements = append(set.Elements, nftables.SetElement{Key: a.AsSlice()})
			}
		}
		t.Sets = append(t.Sets, set)
		output.Rules = append(output.Rules, f.rule())
	}
	t.Chains = []nftable.Chain{output}
	return t
}

// Put replaces the table by the rules for q. Errors: nftable.ErrNone, and others of nftable.Put.
func (Table) Put(ctx context.Context, q kernel.Quiet) error { return nftable.Put(ctx, table(q)) }

// Intact reports whether the table has the rules for q; see nftable.Intact.
func (Table) Intact(ctx context.Context, q kernel.Quiet) (bool, error) {
	return nftable.Intact(ctx, table(q))
}

// Remove removes the table, if there is one, and reports whether there was.
func (Table) Remove(ctx context.Context) (removed bool, err error) {
	return nftable.Remove(ctx, kernel.QuietTable)
}

// Generation returns a number that the kernel changes with every change of nf_tables in this network namespace.
func (Table) Generation(ctx context.Context) (uint32, error) { return nftable.Generation(ctx) }
