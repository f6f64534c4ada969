package capture

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

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
	var log []lab.LogLine
	for _, line := range lines {
		log = append(log, lab.LogLine{Text: line})
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
