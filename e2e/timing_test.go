package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// takeoverAllowance is the time that a takeover may need beyond the timer of the election: one loop of the director
// handles the expired timer and sends the advert, another adds the VIP and sends gratuitous ARP.
const takeoverAllowance = 2 * allowance

// resumeAllowance is the time that a resumed director may need to react: repetitions of gratuitous ARP that came due
// during the stall wait that long for the election (package reconcile).
const resumeAllowance = 100 * time.Millisecond

// leaseEndAllowance is the time by which the kernel may exceed a lease: it checks the lifetimes of addresses at least a
// second apart (check_lifetime in net/ipv4/devinet.c).
const leaseEndAllowance = 1500 * time.Millisecond

var logTime = regexp.MustCompile(`^time=(\S+) `)

// loggedAt returns the time in a log line of one of our daemons, to the millisecond.
func loggedAt(t *testing.T, line lab.LogLine) time.Time {
	t.Helper()
	words := logTime.FindStringSubmatch(line.Text)
	if words == nil {
		t.Fatalf("a log line without a time: %s", line.Text)
	}
	at, err := time.Parse(time.RFC3339Nano, words[1])
	if err != nil {
		t.Fatalf("%s: %v", line.Text, err)
	}
	return at
}

// segment captures VRRP and ARP on the LAN.
func (c *cluster) segment() *capture.Capture {
	c.t.Helper()
	return capture.Start(c.client, "eth0", "vrrp or arp")
}

// announcements returns the adverts and the ARP packets for the VIP that the node sent between from and to.
func announcements(packets []capture.Packet, n *node, from, to time.Time) (all []capture.Packet) {
	for _, p := range packets {
		ours := strings.HasPrefix(p.Text, n.mac()+" > ") && (strings.Contains(p.Text, "224.0.0.18") || strings.Contains(p.Text, vip))
		if ours && p.Time.After(from) && p.Time.Before(to) {
			all = append(all, p)
		}
	}
	return all
}

// takeoverTime returns the time from the last advert of the director from to the first gratuitous ARP of its peer to
// after the event, as captured on the LAN.
func takeoverTime(t *testing.T, packets []capture.Packet, from, to *node, event time.Time) time.Duration {
	t.Helper()
	announced := capture.Matching(announcements(packets, to, event, time.Now()), "ARP")
	if len(announced) == 0 {
		t.Fatalf("%s announced nothing", to.Name)
	}
	adverts := capture.Matching(announcements(packets, from, time.Time{}, announced[0].Time), "VRRP")
	if len(adverts) == 0 {
		t.Fatalf("%s sent no advert", from.Name)
	}
	return announced[0].Time.Sub(adverts[len(adverts)-1].Time)
}

// longestPause returns the longest time without an advert between from and to, including the time up to the first
// advert and after the last.
func longestPause(adverts []capture.Packet, from, to time.Time) (longest time.Duration) {
	last := from
	for _, p := range adverts {
		if p.Time.After(from) && p.Time.Before(to) {
			longest, last = max(longest, p.Time.Sub(last)), p.Time
		}
	}
	return max(longest, to.Sub(last))
}
