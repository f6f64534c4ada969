package quiet

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

func both() kernel.Quiet {
	return kernel.Quiet{Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("fd00::100")}}
}

// ruleset is what nft(8) prints for both().
const ruleset = `table inet lvs_director_take_over {
	set quiet_ipv4 {
		type ipv4_addr
		elements = { 10.77.0.100 }
	}

	set quiet_ipv6 {
		type ipv6_addr
		elements = { fd00::100 }
	}

	chain output {
		type filter hook output priority filter; policy accept;
		tcp flags rst / rst,ack ip saddr @quiet_ipv4 counter packets 0 bytes 0 drop
		tcp flags rst / rst,ack ip6 saddr @quiet_ipv6 counter packets 0 bytes 0 drop
	}
}
`

// TestTable: the rules are those that nft(8) prints; changes are noticed; another Put replaces them; Remove removes them and no other
// table.
func TestTable(t *testing.T) {
	h := netnstest.NewNFT(t)
	do := func(f func(ctx context.Context) error) {
		t.Helper()
		h.Do(t, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			return f(ctx)
		})
	}
	intact := func(what string, want bool) {
		t.Helper()
		do(func(ctx context.Context) error {
			got, err := Table{}.Intact(ctx, both())
			if got != want {
				t.Errorf("%s: intact %t", what, got)
			}
			return err
		})
	}
	put := func(q kernel.Quiet) { do(func(ctx context.Context) error { return Table{}.Put(ctx, q) }) }
	remove := func() (removed bool) {
		do(func(ctx context.Context) (err error) { removed, err = Table{}.Remove(ctx); return err })
		return removed
	}
	h.NFT(t, "add table inet theirs")
	if remove() {
		t.Error("removed before there is a table")
	}
	intact("before there is a table", false)
	put(both())
	intact("at once", true)
	if got := h.NFT(t, "list table inet "+kernel.QuietTable); got != ruleset {
		t.Errorf("the table is\n%s\nwant\n%s", got, ruleset)
	}
	for _, change := range []string{
		"delete element inet lvs_director_take_over quiet_ipv6 { fd00::100 }",
		"insert rule inet lvs_director_take_over output accept",
		"add chain inet lvs_director_take_over other",
		"flush chain inet lvs_director_take_over output",
		"delete table inet lvs_director_take_over",
	} {
		h.NFT(t, change)
		intact(change, false)
		put(both())
		intact("mended", true)
	}
	put(kernel.Quiet{Addresses: both().Addresses[:1]})
	intact("one address less", false)
	if !remove() || remove() {
		t.Error("it is not removed once")
	}
	if got := h.NFT(t, "list tables"); got != "table inet theirs\n" {
		t.Errorf("at the end there is %s", got)
	}
}
