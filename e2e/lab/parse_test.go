package lab

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.77.0.100:3306 wrr persistent 50 mask 255.255.255.0
  -> 10.77.0.11:3306              Route   3      2          5
  -> 10.77.0.12:3306              Masq    0      0          0
FWM  7 rr
`

func TestParseTable(t *testing.T) {
	got, err := parseTable(table)
	if err != nil {
		t.Fatal(err)
	}
	want := Table{Text: table, Services: []VirtualServer{
		{
			Protocol: "TCP", Address: "10.77.0.100:3306", Scheduler: "wrr", Persistent: 50, Flags: "mask 255.255.255.0",
			Servers: []RealServer{
				{Address: "10.77.0.11:3306", Forward: "Route", Weight: 3, Active: 2, Inactive: 5},
				{Address: "10.77.0.12:3306", Forward: "Masq"},
			},
		},
		{Protocol: "FWM", Address: "7", Scheduler: "rr"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"TCP 10.77.0.100:3306", "  -> 10.77.0.11:3306 Route 1 0 0", "TCP a b\n -> c Route x 0 0", "TCP a b persistent x"} {
		if _, err := parseTable(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestParseAddresses(t *testing.T) {
	got, err := parseAddresses(`1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: eth0    inet 10.77.0.2/24 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet 10.77.0.100/32 scope global dynamic eth0\       valid_lft 4sec preferred_lft 4sec
2: eth0    inet6 fe80::4c:aff:fe4d:2/64 scope link \       valid_lft forever preferred_lft forever
3: tun0    inet 10.9.0.1 peer 10.9.0.2/32 scope global tun0\       valid_lft forever preferred_lft forever
`)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(got); text != "[127.0.0.1/8 10.77.0.2/24 10.77.0.100/32 10.9.0.1/32]" {
		t.Error(text)
	}
}

func TestParsePackets(t *testing.T) {
	lines := []string{
		"tcpdump: verbose output suppressed",
		"listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes",
		"1763716800.250000 02:4c:0a:4d:00:02 > 01:00:5e:00:00:12, ethertype IPv4 (0x0800), length 60: (tos 0xc0, ttl 255)",
		"    10.77.0.2 > 224.0.0.18: vrrp",
		"1763716801.000000 02:4c:0a:4d:00:02 > 02:4c:ff:00:00:01, ethertype Unknown (0x88b5), length 60:",
		"\t0x0000:  0000 0000",
		"1763716802.000001 arp",
		"3 packets captured",
	}
	var log []LogLine
	for _, line := range lines {
		log = append(log, LogLine{Text: line})
	}
	want := []Packet{
		{
			Time: time.Unix(1763716800, 250_000_000),
			Text: "02:4c:0a:4d:00:02 > 01:00:5e:00:00:12, ethertype IPv4 (0x0800), length 60: (tos 0xc0, ttl 255)\n    10.77.0.2 > 224.0.0.18: vrrp",
		},
		{Time: time.Unix(1763716802, 1000), Text: "arp"},
	}
	if diff := cmp.Diff(want, parsePackets(log)); diff != "" {
		t.Error(diff)
	}
}

func TestFirstLine(t *testing.T) {
	for answer, want := range map[string]string{
		"mysql1\n":                         "mysql1",
		"mysql1":                           "mysql1",
		"J\x00\x00\x00\x0a10.11.19\x00xyz": "mysql:10.11.19",
		"":                                 "",
	} {
		if got := firstLine([]byte(answer)); got != want {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}
