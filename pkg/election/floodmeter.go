package election

import (
	"fmt"
	"net/netip"
	"time"
)

// crowd measures how many packets are ignored and who sends most of them. It keeps one suspect at a time, by the voting of
// Boyer and Moore, whatever the senders make up. Times are those of any one clock. The zero value is ready.
type crowd struct {
	begun   time.Duration // of the present measurement
	count   uint64
	suspect suspect
	votes   int

	rate float64 // of the last complete measurement, in packets a second
	most suspect
	told bool // what news said last
}

// suspect is what packets of one sender have in common.
type suspect struct {
	source netip.Addr
	vrid   uint8
	reason string
}

const (
	// crowdWindow is the length of a measurement at least.
	crowdWindow = 2 * time.Second
	// loud is how many ignored packets a second are worth a sentence. The adverts of 255 virtual routers, one a second
	// each, are not.
	loud = 1000
)

// add counts n packets, of which one was looked at: it is like who; n 0 counts nothing.
func (c *crowd) add(now time.Duration, n uint64, who suspect) {
	c.roll(now)
	c.count += n
	switch {
	case c.votes == 0:
		c.suspect, c.votes = who, 1
	case c.suspect == who:
		c.votes++
	default:
		c.votes--
	}
}

// unseen counts n packets that were not looked at.
func (c *crowd) unseen(now time.Duration, n uint64) {
	c.roll(now)
	c.count += n
}

// roll ends a measurement that has lasted long enough.
func (c *crowd) roll(now time.Duration) {
	took := now - c.begun
	if took < crowdWindow {
		return
	}
	c.rate, c.most = float64(c.count)/took.Seconds(), c.suspect
	c.begun, c.count, c.votes = now, 0, 0
}

// news says whether a crowd has come or gone since the last call.
func (c *crowd) news(now time.Duration) bool {
	c.roll(now)
	was := c.told
	c.told = c.rate >= loud
	return was != c.told
}

// sentence tells of a crowd; "" when there is none.
func (c *crowd) sentence() string {
	if c.rate < loud {
		return ""
	}
	return fmt.Sprintf("%.0f VRRP packets a second are ignored (%s), most of them of virtual router %d from %s: find out what sends them",
		c.rate, c.most.reason, c.most.vrid, c.most.source)
}
