package election

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestFloodMeterNamesTheMainSender(t *testing.T) {
	var c floodMeter
	culprit := suspect{netip.MustParseAddr("10.77.0.66"), 77, "vrid"}
	now := time.Duration(0)
	for i := range 60_000 { // 10 000 a second, every third from a forged source
		now = time.Duration(i) * 100 * time.Microsecond
		who := culprit
		if i%3 == 0 {
			who = suspect{netip.AddrFrom4([4]byte{10, 78, byte(i >> 8), byte(i)}), uint8(i), "ttl"}
		}
		c.add(now, 1, who)
	}
	if got := c.sentence(); !strings.HasPrefix(got, "9999 ") && !strings.HasPrefix(got, "10000 ") || !strings.Contains(got, "virtual router 77 from 10.77.0.66") {
		t.Errorf("%q", got)
	}
	if !c.changed(now) || c.changed(now) {
		t.Error("the begin of the flood must be reported once")
	}
	if now += floodWindow + time.Second; !c.changed(now) && !c.changed(now+floodWindow) {
		t.Error("the end of the flood must be reported")
	}
	if c.roll(now + 2*floodWindow); c.sentence() != "" {
		t.Errorf("after the end of the flood: %q", c.sentence())
	}
}

func TestFloodMeterCountsUnseenPackets(t *testing.T) {
	var c floodMeter
	for second := range 5 {
		now := time.Duration(second) * time.Second
		c.add(now, 1, suspect{netip.MustParseAddr("10.77.0.66"), 77, "vrid"})
		c.unseen(now, 5000)
	}
	if !strings.HasPrefix(c.sentence(), "5001 VRRP packets a second") {
		t.Errorf("%q", c.sentence())
	}
}

// The adverts of a few other routers in an ordinary network are not a flood.
func TestFewPacketsAreNoFlood(t *testing.T) {
	var c floodMeter
	for i := range 10_000 {
		c.add(time.Duration(i)*2*time.Millisecond, 1, suspect{})
	}
	if c.sentence() != "" || c.changed(time.Minute) {
		t.Errorf("%q", c.sentence())
	}
}
