package returnpath

import (
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// ruleset is what nft(8) prints for two real servers.
const ruleset = `table inet lvs_director_return_path {
	set unredirected {
		type ipv6_addr
		elements = { fd00::11,
			     fd00::12 }
	}

	chain output {
		type filter hook output priority filter; policy accept;
		ip6 daddr @unredirected icmpv6 type nd-redirect counter packets 0 bytes 0 drop
	}
}
`

// TestKept: the rules are those that nft(8) prints; see netnstest.
func TestKept(t *testing.T) {
	both := kernel.ReturnPath{Unredirected: []netip.Addr{netip.MustParseAddr("fd00::11"), netip.MustParseAddr("fd00::12")}}
	netnstest.NewRules(t, netnstest.NewNFT(t), Table()).AreKept(kernel.ReturnTable, both, ruleset,
		"delete element inet lvs_director_return_path unredirected { fd00::12 }",
		"insert rule inet lvs_director_return_path output accept",
		"flush chain inet lvs_director_return_path output",
	)
}
