package marks

import (
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

func marked(at string, protocol uint8, mark uint32) kernel.MarkedEndpoint {
	return kernel.MarkedEndpoint{Endpoint: kernel.Endpoint{Protocol: protocol, At: netip.MustParseAddrPort(at)}, Mark: mark}
}

// both is a value with both families.
func both() kernel.Marking {
	return kernel.Marking{Endpoints: []kernel.MarkedEndpoint{
		marked("10.77.0.100:80", 6, 5), marked("10.77.0.100:443", 6, 5), marked("10.77.0.100:443", 17, 5),
		marked("10.77.0.101:0", 17, 0x10000), marked("[fd00::100]:80", 6, 6), marked("[fd00::100]:0", 132, 7),
	}}
}

// ruleset is what nft(8) prints for both().
const ruleset = `table inet lvs_director_marks {
	set mark_7_every_port_ipv6 {
		type ipv6_addr . inet_proto
		elements = { fd00::100 . sctp }
	}

	set mark_65536_every_port_ipv4 {
		type ipv4_addr . inet_proto
		elements = { 10.77.0.101 . udp }
	}

	set mark_5_ipv4 {
		type ipv4_addr . inet_proto . inet_service
		elements = { 10.77.0.100 . tcp . 80,
			     10.77.0.100 . tcp . 443,
			     10.77.0.100 . udp . 443 }
	}

	set mark_6_ipv6 {
		type ipv6_addr . inet_proto . inet_service
		elements = { fd00::100 . tcp . 80 }
	}

	chain input {
		type filter hook input priority mangle; policy accept;
		ip6 daddr . meta l4proto @mark_7_every_port_ipv6 meta mark set 0x00000007
		ip daddr . meta l4proto @mark_65536_every_port_ipv4 meta mark set 0x00010000
		ip daddr . meta l4proto . th dport @mark_5_ipv4 meta mark set 0x00000005
		ip6 daddr . meta l4proto . th dport @mark_6_ipv6 meta mark set 0x00000006
	}

	chain output {
		type filter hook output priority mangle; policy accept;
		ip6 daddr . meta l4proto @mark_7_every_port_ipv6 meta mark set 0x00000007
		ip daddr . meta l4proto @mark_65536_every_port_ipv4 meta mark set 0x00010000
		ip daddr . meta l4proto . th dport @mark_5_ipv4 meta mark set 0x00000005
		ip6 daddr . meta l4proto . th dport @mark_6_ipv6 meta mark set 0x00000006
	}
}
`

// TestKept: the rules are those that nft(8) prints; see netnstest.
func TestKept(t *testing.T) {
	netnstest.NewRules(t, netnstest.NewNFT(t), Table()).AreKept(kernel.MarkTable, both(), ruleset,
		"flush chain inet lvs_director_marks input",
		"insert rule inet lvs_director_marks output meta mark set 9",
		"add chain inet lvs_director_marks input { policy drop; }",
		"delete element inet lvs_director_marks mark_5_ipv4 { 10.77.0.100 . tcp . 80 }",
		"add rule inet lvs_director_marks input ip daddr 10.77.0.100 meta mark set 6",
		"add element inet lvs_director_marks mark_7_every_port_ipv6 { fd00::101 . tcp }",
	)
}

// The largest table of a cluster file with many virtual servers is one transaction.
func TestLargeTable(t *testing.T) {
	h := netnstest.NewRules(t, netnstest.NewNFT(t), Table())
	var m kernel.Marking
	a := netip.MustParseAddr("fd00::1")
	for range 20_000 {
		m.Endpoints = append(m.Endpoints, kernel.MarkedEndpoint{Endpoint: kernel.Endpoint{Protocol: 6, At: netip.AddrPortFrom(a, 3306)}, Mark: 5})
		a = a.Next()
	}
	h.Put(m)
	if !h.Intact(m) {
		t.Error("it is not intact after Put")
	}
}

// local is a value with local delivery in both families, and a marked endpoint that is one of them.
func local() kernel.Marking {
	return kernel.Marking{
		Endpoints: []kernel.MarkedEndpoint{marked("10.77.0.100:3306", 6, 5)},
		Local: []kernel.Endpoint{
			marked("10.77.0.100:3306", 6, 1).Endpoint, marked("10.77.0.100:3307", 6, 1).Endpoint, marked("10.77.0.101:0", 17, 1).Endpoint, marked("[fd00::100]:3306", 6, 1).Endpoint,
		},
		Directors: []netip.Addr{netip.MustParseAddr("10.77.0.3")},
		Hardware:  []kernel.HardwareAddr{{2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 0, 4}},
	}
}

const localRuleset = `table inet lvs_director_marks {
	set directors {
		type ether_addr
		elements = { 02:00:00:00:00:03,
			     02:00:00:00:00:04 }
	}

	set local_addresses_ipv4 {
		type ipv4_addr
		elements = { 10.77.0.100, 10.77.0.101 }
	}

	set local_addresses_ipv6 {
		type ipv6_addr
		elements = { fd00::100 }
	}

	set mark_5_ipv4 {
		type ipv4_addr . inet_proto . inet_service
		elements = { 10.77.0.100 . tcp . 3306 }
	}

	set local_every_port_ipv4 {
		type ipv4_addr . inet_proto
		elements = { 10.77.0.101 . udp }
	}

	set local_ipv4 {
		type ipv4_addr . inet_proto . inet_service
		elements = { 10.77.0.100 . tcp . 3306,
			     10.77.0.100 . tcp . 3307 }
	}

	set local_ipv6 {
		type ipv6_addr . inet_proto . inet_service
		elements = { fd00::100 . tcp . 3306 }
	}

	chain input {
		type filter hook input priority mangle; policy accept;
		ip daddr . meta l4proto . th dport @mark_5_ipv4 meta mark set 0x00000005
		ether saddr @directors ip daddr . meta l4proto @local_every_port_ipv4 meta mark set 0x004c5653
		ether saddr @directors ip daddr . meta l4proto . th dport @local_ipv4 meta mark set 0x004c5653
		ether saddr @directors ip6 daddr . meta l4proto . th dport @local_ipv6 meta mark set 0x004c5653
	}

	chain output {
		type filter hook output priority mangle; policy accept;
		ip daddr . meta l4proto . th dport @mark_5_ipv4 meta mark set 0x00000005
		ip saddr @local_addresses_ipv4 ip daddr . meta l4proto @local_every_port_ipv4 meta mark set 0x004c5653
		ip saddr @local_addresses_ipv4 ip daddr . meta l4proto . th dport @local_ipv4 meta mark set 0x004c5653
		ip6 saddr @local_addresses_ipv6 ip6 daddr . meta l4proto . th dport @local_ipv6 meta mark set 0x004c5653
	}
}
`

// Local delivery counts more than other marks, and a director with another hardware address is another table.
func TestLocalDelivery(t *testing.T) {
	h := netnstest.NewRules(t, netnstest.NewNFT(t), Table())
	h.IsListed(kernel.MarkTable, local(), localRuleset)
	other := local()
	other.Hardware = other.Hardware[:1]
	if h.Intact(other) {
		t.Error("it is taken for that of other directors")
	}
}
