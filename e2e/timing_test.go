package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// takeoverAllowance is what a take-over may take beyond the timer of an election: one loop of the director finds the timer ended
// and sends the advert, another one puts the VIP and tells the neighbours.
const takeoverAllowance = 2 * allowance

// resumeAllowance is what a director that was stopped may take to find out how things are: repetitions of gratuitous ARP that came
// due meanwhile wait as long for the election (afterWaking of package reconcile).
const resumeAllowance = 100 * time.Millisecond

// leaseEndAllowance is what the kernel's lazy look at the lifetimes of addresses may add to a lease (addrconf's check, at least a
// second apart, net/ipv4/devinet.c).
const leaseEndAllowance = 1500 * time.Millisecond

var logTime = regexp.MustCompile(`^time=(\S+) `)

// loggedAt is the time that a daemon of ours wrote into a line of its log, in milliseconds.
func loggedAt(t *testing.T, line lab.LogLine) time.Time {
	t.Helper()
	words := logTime.FindStringSubmatch(line.Text)
	if words == nil {
		t.Fatalf("a line without a time: %s", line.Text)
	}
	at, err := time.Parse(time.RFC3339Nano, words[1])
	if err != nil {
		t.Fatalf("%s: %v", line.Text, err)
	}
	return at
}

// segment records what the directors say to the LAN.
func (c *cluster) segment() *capture.Capture {
	c.t.Helper()
	return capture.Start(c.client, "eth0", "vrrp or arp")
}

// announcements are the packets with which a node speaks of the VIP: adverts and gratuitous ARP.
func announcements(packets []capture.Packet, n *node, from, to time.Time) (all []capture.Packet) {
	for _, p := range packets {
		ours := strings.HasPrefix(p.Text, n.mac()+" > ") && (strings.Contains(p.Text, "224.0.0.18") || strings.Contains(p.Text, vip))
		if ours && p.Time.After(from) && p.Time.Before(to) {
			all = append(all, p)
		}
	}
	return all
}

// takeoverTime is the time from the last advert of the director that serves to the first gratuitous ARP of its peer after the
// event: what the neighbours heard.
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

// longestPause is the longest time without an advert between two moments, at both of which there must be adverts.
func longestPause(adverts []capture.Packet, from, to time.Time) (longest time.Duration) {
	last := from
	for _, p := range adverts {
		if p.Time.After(from) && p.Time.Before(to) {
			longest, last = max(longest, p.Time.Sub(last)), p.Time
		}
	}
	return max(longest, to.Sub(last))
}
