package returnpath

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
)

// Table returns the table of real servers whose answers must pass this host.
func Table() nftable.Rules[kernel.ReturnPath] {
	return nftable.Rules[kernel.ReturnPath]{Name: kernel.ReturnTable, Of: table, Remedy: func(kernel.ReturnPath) string {
		return "forward: nat with IPv6 needs: modprobe nf_tables, use another kernel, or have clients and real servers in different networks"
	}}
}

// redirect is the type of an ICMPv6 redirect (RFC 4861 section 4.5), which goes to the source of the packet that has caused it.
const redirect = 137

// set is the name of the set of real servers.
const set = "unredirected"

// rule drops the redirects to real servers of a family.
func rule(f nftable.Family) []expr.Any {
	const first = nftable.First
	return append(f.Is(), f.Destination(), nftable.In(set),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first}, nftable.Equal(unix.IPPROTO_ICMPV6),
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1, DestRegister: first}, nftable.Equal(redirect),
		&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
	)
}

// table returns the set and the chain for r.
func table(r kernel.ReturnPath) (nftable.Table, error) {
	output := nftable.Chain{Name: "output", Hook: nftables.ChainHookOutput, Priority: int32(*nftables.ChainPriorityFilter)}
	var t nftable.Table
	for _, f := range nftable.Families() {
		if f.Protocol == unix.NFPROTO_IPV6 {
			t.Sets, output.Rules = append(t.Sets, f.Addresses(set, r.Unredirected)), append(output.Rules, rule(f))
		}
	}
	t.Chains = []nftable.Chain{output}
	return t, nil
}
