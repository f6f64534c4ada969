package vipfilter

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

func closed(addresses ...string) (c kernel.Closed) {
	for _, a := range addresses {
		c.Addresses = append(c.Addresses, netip.MustParseAddr(a))
	}
	return c
}

func endpoint(s string) kernel.Endpoint {
	return kernel.Endpoint{Protocol: 6, At: netip.MustParseAddrPort(s)}
}

// both is a value with both families.
func both() kernel.Closed {
	c := closed("10.77.0.100", "10.77.0.101", "fd00::100")
	c.Open = []kernel.Endpoint{endpoint("10.77.0.100:3306"), endpoint("10.77.0.101:80"), endpoint("10.77.0.101:0"), endpoint("[fd00::100]:3306"), endpoint("[fd00::100]:0")}
	c.Marks = []kernel.Mark{{Family: kernel.IPv4, Value: 5}, {Family: kernel.IPv4, Value: 0x10000}, {Family: kernel.IPv6, Value: 6}}
	return c
}

// The sets have the addresses and endpoints of their family; a key of endpoints is padded to multiples of 4 bytes.
func TestContents(t *testing.T) {
	made, err := table(both())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, s := range made.Sets {
		for _, e := range s.Elements {
			got[s.Name] = append(got[s.Name], string(e.Key))
		}
	}
	for name, want := range map[string][]string{
		"closed_ipv4":     {"\x0a\x4d\x00\x64", "\x0a\x4d\x00\x65"},
		"open_ipv4":       {"\x0a\x4d\x00\x64\x06\x00\x00\x00\x0c\xea\x00\x00", "\x0a\x4d\x00\x65\x06\x00\x00\x00\x00\x50\x00\x00"},
		"every_port_ipv4": {"\x0a\x4d\x00\x65\x06\x00\x00\x00"},
		"marks_ipv6":      {string(binary.NativeEndian.AppendUint32(nil, 6))},
		"closed_ipv6":     {"\xfd\x00" + strings.Repeat("\x00", 12) + "\x01\x00"},
		"open_ipv6":       {"\xfd\x00" + strings.Repeat("\x00", 12) + "\x01\x00\x06\x00\x00\x00\x0c\xea\x00\x00"},
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}

// ruleset is what nft(8) prints for both().
const ruleset = `table inet lvs_director_accept_mode {
	set closed_ipv4 {
		type ipv4_addr
		elements = { 10.77.0.100, 10.77.0.101 }
	}

	set open_ipv4 {
		type ipv4_addr . inet_proto . inet_service
		elements = { 10.77.0.100 . tcp . 3306,
			     10.77.0.101 . tcp . 80 }
	}

	set every_port_ipv4 {
		type ipv4_addr . inet_proto
		elements = { 10.77.0.101 . tcp }
	}

	set marks_ipv4 {
		type mark
		elements = { 0x00000005, 0x00010000 }
	}

	set closed_ipv6 {
		type ipv6_addr
		elements = { fd00::100 }
	}

	set open_ipv6 {
		type ipv6_addr . inet_proto . inet_service
		elements = { fd00::100 . tcp . 3306 }
	}

	set every_port_ipv6 {
		type ipv6_addr . inet_proto
		elements = { fd00::100 . tcp }
	}

	set marks_ipv6 {
		type mark
		elements = { 0x00000006 }
	}

	chain input {
		type filter hook input priority 150; policy accept;
		ip daddr @closed_ipv4 goto to_ipv4
		ip6 daddr @closed_ipv6 goto to_ipv6
	}

	chain to_ipv4 {
		iifname "lo" accept
		ip daddr . meta l4proto . th dport @open_ipv4 accept
		ip daddr . meta l4proto @every_port_ipv4 accept
		meta mark @marks_ipv4 accept
		counter packets 0 bytes 0 drop
	}

	chain to_ipv6 {
		iifname "lo" accept
		ip6 daddr . meta l4proto . th dport @open_ipv6 accept
		ip6 daddr . meta l4proto @every_port_ipv6 accept
		meta mark @marks_ipv6 accept
		icmpv6 type nd-neighbor-solicit accept
		icmpv6 type nd-neighbor-advert accept
		counter packets 0 bytes 0 drop
	}
}
`

// TestKept: the rules are those that nft(8) prints; see netnstest.
func TestKept(t *testing.T) {
	h := netnstest.NewRules(t, netnstest.NewNFT(t), Table())
	h.AreKept(kernel.ClosedTable, both(), ruleset,
		"flush chain inet lvs_director_accept_mode input",
		"flush chain inet lvs_director_accept_mode to_ipv6",
		"add rule inet lvs_director_accept_mode to_ipv4 accept",
		"insert rule inet lvs_director_accept_mode to_ipv4 ip saddr 10.77.0.50 accept",
		"add chain inet lvs_director_accept_mode input { policy drop; }",
		"delete element inet lvs_director_accept_mode closed_ipv4 { 10.77.0.101 }",
		"add element inet lvs_director_accept_mode open_ipv6 { fd00::100 . udp . 53 }",
		"add element inet lvs_director_accept_mode every_port_ipv4 { 10.77.0.100 . udp }",
		"delete element inet lvs_director_accept_mode marks_ipv4 { 0x10000 }",
		"flush set inet lvs_director_accept_mode closed_ipv6",
	)
	h.Put(both())
	if h.Intact(closed("10.77.0.100")) {
		t.Error("it is taken for that of other addresses")
	}
}

// The largest table that a cluster file can ask for is one transaction.
func TestLargeTable(t *testing.T) {
	h := netnstest.NewRules(t, netnstest.NewNFT(t), Table())
	var c kernel.Closed
	a := netip.MustParseAddr("fd00::1")
	for range 20_000 {
		c.Addresses = append(c.Addresses, a)
		c.Open = append(c.Open, kernel.Endpoint{Protocol: 6, At: netip.AddrPortFrom(a, 3306)})
		a = a.Next()
	}
	h.Put(c)
	if !h.Intact(c) {
		t.Error("it is not intact after Put")
	}
}

// A deadline ends every call.
func TestDeadline(t *testing.T) {
	h := netnstest.NewNFT(t)
	h.Do(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		if err := Table().Put(ctx, both()); err == nil {
			t.Error("Put succeeds after its deadline")
		}
		return nil
	})
}
