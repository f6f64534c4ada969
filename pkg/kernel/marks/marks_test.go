package marks

import (
	"context"
	"net/netip"
	"testing"
	"time"

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

// host is a network namespace with nf_tables, and Table in it.
type host struct {
	t *testing.T
	netnstest.Host
}

func (h host) do(f func(ctx context.Context) error) {
	h.t.Helper()
	h.Do(h.t, func() error {
		ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
		defer cancel()
		return f(ctx)
	})
}

func (h host) put(m kernel.Marking) {
	h.t.Helper()
	h.do(func(ctx context.Context) error { return Table{}.Put(ctx, m) })
}

func (h host) intact(m kernel.Marking) (same bool) {
	h.t.Helper()
	h.do(func(ctx context.Context) (err error) {
		same, err = Table{}.Intact(ctx, m)
		return err
	})
	return same
}

func (h host) remove() (removed bool) {
	h.t.Helper()
	h.do(func(ctx context.Context) (err error) {
		removed, err = Table{}.Remove(ctx)
		return err
	})
	return removed
}

// nft(8) shows the rules as they are meant; the tables of others stay as they are; and a removed table is gone.
func TestPut(t *testing.T) {
	h := host{t, netnstest.NewNFT(t)}
	h.NFT(t, "add table inet filter")
	if h.remove() || h.intact(both()) {
		t.Error("there is a table before the first Put")
	}
	for range 2 { // it replaces what is there
		h.put(both())
		if got := netnstest.SortedElements(h.NFT(t, "list table inet "+kernel.MarkTable)); got != netnstest.SortedElements(ruleset) {
			t.Errorf("the table is\n%s\nwant\n%s", got, ruleset)
		}
		if !h.intact(both()) {
			t.Error("it is not found intact")
		}
	}
	if !h.remove() || h.remove() {
		t.Error("it is not removed once")
	}
	if got := h.NFT(t, "list ruleset"); got != "table inet filter {\n}\n" {
		t.Errorf("at the end there is\n%s", got)
	}
}

// Every change of the table by another program is seen, and every change changes the generation.
func TestIntact(t *testing.T) {
	h := host{t, netnstest.NewNFT(t)}
	generation := func() (g uint32) {
		h.do(func(ctx context.Context) (err error) {
			g, err = Table{}.Generation(ctx)
			return err
		})
		return g
	}
	for _, change := range []string{
		"delete table inet lvs_director_marks",
		"flush chain inet lvs_director_marks input",
		"insert rule inet lvs_director_marks output meta mark set 9",
		"add chain inet lvs_director_marks other",
		"add chain inet lvs_director_marks input { policy drop; }",
		"delete element inet lvs_director_marks mark_5_ipv4 { 10.77.0.100 . tcp . 80 }",
		"add rule inet lvs_director_marks input ip daddr 10.77.0.100 meta mark set 6",
		"add element inet lvs_director_marks mark_7_every_port_ipv6 { fd00::101 . tcp }",
	} {
		h.put(both())
		if !h.intact(both()) {
			t.Fatal("it is not intact after Put")
		}
		before := generation()
		h.NFT(t, change)
		if generation() == before {
			t.Errorf("%s: the generation is still %d", change, before)
		}
		if h.intact(both()) {
			t.Errorf("%s: it is intact", change)
		}
	}
}

// The largest table of a cluster file with many virtual servers is one transaction.
func TestLargeTable(t *testing.T) {
	h := host{t, netnstest.NewNFT(t)}
	var m kernel.Marking
	a := netip.MustParseAddr("fd00::1")
	for range 20_000 {
		m.Endpoints = append(m.Endpoints, kernel.MarkedEndpoint{Endpoint: kernel.Endpoint{Protocol: 6, At: netip.AddrPortFrom(a, 3306)}, Mark: 5})
		a = a.Next()
	}
	h.put(m)
	if !h.intact(m) {
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
	h := host{t, netnstest.NewNFT(t)}
	h.put(local())
	if got := netnstest.SortedElements(h.NFT(t, "list table inet "+kernel.MarkTable)); got != netnstest.SortedElements(localRuleset) {
		t.Errorf("the table is\n%s\nwant\n%s", got, localRuleset)
	}
	other := local()
	other.Hardware = other.Hardware[:1]
	if !h.intact(local()) || h.intact(other) {
		t.Error("it is not found intact, or for other directors, too")
	}
}
