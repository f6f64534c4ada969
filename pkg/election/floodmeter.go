package election

import (
	"fmt"
	"net/netip"
	"time"
)

// floodMeter measures the rate of ignored packets and finds the sender of most of them. It keeps one suspect at a time,
// by Boyer-Moore majority voting, so that forged source addresses cost no memory. Times are of any one clock. The zero
// value is ready for use.
type floodMeter struct {
	begun   time.Duration // of the current measurement
	count   uint64
	suspect suspect
	votes   int

	rate  float64 // of the last complete measurement, in packets a second
	most  suspect
	flood bool // whether there was a flood at the last call of changed
}

// suspect identifies the packets of one sender.
type suspect struct {
	source netip.Addr
	vrid   uint8
	reason string
}

const (
	// floodWindow is the minimum length of a measurement.
	floodWindow = 2 * time.Second
	// floodRate is the number of ignored packets a second from which a flood is reported. The adverts of 255 virtual
	// routers, one a second each, stay below it.
	floodRate = 1000
)

// add counts n packets and one vote for who, the sender of the one that was examined.
func (m *floodMeter) add(now time.Duration, n uint64, who suspect) {
	m.roll(now)
	m.count += n
	switch {
	case m.votes == 0:
		m.suspect, m.votes = who, 1
	case m.suspect == who:
		m.votes++
	default:
		m.votes--
	}
}

// unseen counts n packets that were not examined.
func (m *floodMeter) unseen(now time.Duration, n uint64) {
	m.roll(now)
	m.count += n
}

// roll completes a measurement that has lasted long enough.
func (m *floodMeter) roll(now time.Duration) {
	took := now - m.begun
	if took < floodWindow {
		return
	}
	m.rate, m.most = float64(m.count)/took.Seconds(), m.suspect
	m.begun, m.count, m.votes = now, 0, 0
}

// changed reports whether a flood has begun or ended since the last call.
func (m *floodMeter) changed(now time.Duration) bool {
	m.roll(now)
	was := m.flood
	m.flood = m.rate >= floodRate
	return was != m.flood
}

// sentence describes the flood; "" if there is none.
func (m *floodMeter) sentence() string {
	if m.rate < floodRate {
		return ""
	}
	return fmt.Sprintf("%.0f VRRP packets a second are ignored (%s), most of them of virtual router %d from %s: find out what sends them",
		m.rate, m.most.reason, m.most.vrid, m.most.source)
}
