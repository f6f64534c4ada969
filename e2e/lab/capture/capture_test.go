package capture_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

var (
	advert = []byte{0x31, 51, 150, 1, 0, 100, 0, 0, 10, 77, 0, 100}
	group  = netip.MustParseAddr("224.0.0.18")
)

// pair creates two hosts on one switch.
func pair(t *testing.T) (a, b *lab.Host) {
	t.Helper()
	n := lab.New(t)
	lan := n.Bridge("lan")
	return n.Host("alpha", lan.At("10.77.0.1/24")), n.Host("beta", lan.At("10.77.0.2/24"))
}

// TestCaptureHasWhatWasSent: concurrent captures on one interface do not confuse each other's markers.
func TestCaptureHasWhatWasSent(t *testing.T) {
	alpha, beta := pair(t)
	seen, other := capture.Start(alpha, "eth0", lab.VRRP), capture.Start(alpha, "eth0", "udp")
	source := netip.MustParseAddr("10.77.0.200")
	capture.Send(beta, "eth0", source, group, 254, 112, advert)
	if got := other.Packets(); len(got) != 0 {
		t.Errorf("packets that do not match: %v", got)
	}
	if got := seen.Packets(); len(got) != 1 {
		t.Errorf("packets so far: %v", got)
	}
	capture.Send(beta, "eth0", source, group, 255, 112, advert)
	packets := seen.Stop()
	if len(packets) != 2 || !strings.Contains(packets[0].Text, "10.77.0.200 > 224.0.0.18") || !strings.Contains(packets[0].Text, "ttl 254") {
		t.Fatalf("captured %v", packets)
	}
	if got := capture.Matching(packets, "ttl 254"); len(got) != 1 {
		t.Errorf("matching: %v", got)
	}
	if age := time.Since(packets[0].Time); age < 0 || age > time.Minute {
		t.Errorf("the packet is %s old", age)
	}
	if got := other.Stop(); len(got) != 0 {
		t.Errorf("packets that do not match: %v", got)
	}
}

func TestFloodReportsWhatItSent(t *testing.T) {
	alpha, beta := pair(t)
	seen := capture.Start(alpha, "eth0", lab.VRRP)
	sources := []netip.Addr{netip.MustParseAddr("10.77.0.201"), netip.MustParseAddr("10.77.0.202")}
	flood := capture.StartFlood(beta, capture.FloodOptions{Sources: sources, Payloads: [][]byte{advert}, Rate: 1000, Count: 20})
	if sent, rate := flood.Stop(); sent != 20 || rate <= 0 {
		t.Errorf("sent %d, %.0f per second", sent, rate)
	}
	packets := seen.Stop()
	for _, source := range sources {
		if got := capture.Matching(packets, source.String()+" > 224.0.0.18"); len(got) != 10 {
			t.Errorf("%d packets from %s, want 10", len(got), source)
		}
	}
}
