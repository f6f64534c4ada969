package sourcenat

import (
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// ruleset is what nft(8) prints for some networks of clients and virtual servers of each kind.
const ruleset = `table inet lvs_director_source_nat {
	set servers_ipv4 {
		type ipv4_addr
		elements = { 10.77.0.11 }
	}

	set servers_ipv6 {
		type ipv6_addr
		elements = { fd00::11 }
	}

	set marks_1 {
		type mark
		elements = { 0x00000005 }
	}

	set ports_2 {
		type inet_proto . inet_service
		elements = { tcp . 80 }
	}

	set protocols_3 {
		type inet_proto
		elements = { udp }
	}

	set ports_4 {
		type inet_proto . inet_service
		elements = { tcp . 80 }
	}

	set protocols_5 {
		type inet_proto
		elements = { tcp }
	}

	set ports_6 {
		type inet_proto . inet_service
		elements = { tcp . 80 }
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		meta mark @marks_1 ip daddr @servers_ipv4 counter packets 0 bytes 0 masquerade
		ip saddr 10.77.0.0/20 ct original ip daddr 10.77.0.100 meta l4proto . ct original proto-dst @ports_2 ip daddr @servers_ipv4 counter packets 0 bytes 0 masquerade
		ip saddr 10.77.0.0/20 ct original ip daddr 10.77.0.101 meta l4proto @protocols_3 ip daddr @servers_ipv4 counter packets 0 bytes 0 masquerade
		ip saddr 10.77.0.50 ct original ip daddr 10.77.0.100 meta l4proto . ct original proto-dst @ports_4 ip daddr @servers_ipv4 counter packets 0 bytes 0 masquerade
		ct original ip6 daddr fd00::100 meta l4proto @protocols_5 ip6 daddr @servers_ipv6 counter packets 0 bytes 0 masquerade
		ip6 saddr fd00:77::/64 ct original ip6 daddr fd00::100 meta l4proto . ct original proto-dst @ports_6 ip6 daddr @servers_ipv6 counter packets 0 bytes 0 masquerade
	}
}
`

// TestKept: the rules are those that nft(8) prints; see netnstest.
func TestKept(t *testing.T) {
	all := kernel.SourceNAT{Servers: []netip.Addr{netip.MustParseAddr("10.77.0.11"), netip.MustParseAddr("fd00::11")}}
	for _, r := range []struct {
		clients, at string
		protocol    uint8
		mark        uint32
	}{
		{"0.0.0.0/0", "", 0, 5},
		{"10.77.0.0/20", "10.77.0.100:80", 6, 0},
		{"10.77.0.0/20", "10.77.0.101:0", 17, 0},
		{"10.77.0.50/32", "10.77.0.100:80", 6, 0},
		{"::/0", "[fd00::100]:0", 6, 0},
		{"fd00:77::/64", "[fd00::100]:80", 6, 0},
	} {
		one := kernel.Replaced{Clients: netip.MustParsePrefix(r.clients), Mark: r.mark}
		if r.at != "" {
			one.To = kernel.Endpoint{Protocol: r.protocol, At: netip.MustParseAddrPort(r.at)}
		}
		all.Replaced = append(all.Replaced, one)
	}
	netnstest.NewRules(t, netnstest.NewNFT(t), Table()).AreKept(kernel.SourceNATTable, all, ruleset,
		"delete element inet lvs_director_source_nat servers_ipv4 { 10.77.0.11 }",
		"insert rule inet lvs_director_source_nat postrouting accept",
		"flush chain inet lvs_director_source_nat postrouting",
	)
}
