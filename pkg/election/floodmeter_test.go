package election

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCrowdNamesWhoSendsMost(t *testing.T) {
	var c crowd
	culprit := suspect{netip.MustParseAddr("10.77.0.66"), 77, "vrid"}
	now := time.Duration(0)
	for i := range 60_000 { // 10 000 a second, every third made up
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
	if !c.news(now) || c.news(now) {
		t.Error("the coming of the crowd must be news once")
	}
	if now += crowdWindow + time.Second; !c.news(now) && !c.news(now+crowdWindow) {
		t.Error("its end must be news")
	}
	if c.roll(now + 2*crowdWindow); c.sentence() != "" {
		t.Errorf("it is over: %q", c.sentence())
	}
}

func TestCrowdCountsWhatNobodyLookedAt(t *testing.T) {
	var c crowd
	for second := range 5 {
		now := time.Duration(second) * time.Second
		c.add(now, 1, suspect{netip.MustParseAddr("10.77.0.66"), 77, "vrid"})
		c.unseen(now, 5000)
	}
	if !strings.HasPrefix(c.sentence(), "5001 VRRP packets a second") {
		t.Errorf("%q", c.sentence())
	}
}

// An ordinary network has a few other routers; nobody wants to hear of them.
func TestFewPacketsAreNoCrowd(t *testing.T) {
	var c crowd
	for i := range 10_000 {
		c.add(time.Duration(i)*2*time.Millisecond, 1, suspect{})
	}
	if c.sentence() != "" || c.news(time.Minute) {
		t.Errorf("%q", c.sentence())
	}
}
