package quiet

import (
	"net/netip"
	"testing"

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

// TestKept: the rules are those that nft(8) prints; see netnstest.
func TestKept(t *testing.T) {
	h := netnstest.NewRules(t, netnstest.NewNFT(t), Table())
	h.AreKept(kernel.QuietTable, both(), ruleset,
		"delete element inet lvs_director_take_over quiet_ipv6 { fd00::100 }",
		"insert rule inet lvs_director_take_over output accept",
		"flush chain inet lvs_director_take_over output",
	)
	h.Put(kernel.Quiet{Addresses: both().Addresses[:1]})
	if h.Intact(both()) {
		t.Error("with one address less it is intact")
	}
}
