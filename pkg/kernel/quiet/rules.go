package quiet

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
)

// Table returns the table of addresses that do not reset unknown connections.
func Table() nftable.Rules[kernel.Quiet] {
	return nftable.Rules[kernel.Quiet]{Name: kernel.QuietTable, Of: table}
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
func rule(f nftable.Family, set string) []expr.Any {
	const first = nftable.First
	return append(f.Is(),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first}, nftable.Equal(unix.IPPROTO_TCP),
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: flagsAt, Len: 1, DestRegister: first},
		&expr.Bitwise{SourceRegister: first, DestRegister: first, Len: 1, Mask: []byte{flagRST | flagACK}, Xor: []byte{0}}, nftable.Equal(flagRST),
		f.Source(), nftable.In(set), &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
	)
}

// table returns the sets and the chain for q.
func table(q kernel.Quiet) (nftable.Table, error) {
	var t nftable.Table
	output := nftable.Chain{Name: "output", Hook: nftables.ChainHookOutput, Priority: int32(*nftables.ChainPriorityFilter)}
	for _, f := range nftable.Families() {
		set := "quiet_" + f.Name
		t.Sets = append(t.Sets, f.Addresses(set, q.Addresses))
		output.Rules = append(output.Rules, rule(f, set))
	}
	t.Chains = []nftable.Chain{output}
	return t, nil
}
