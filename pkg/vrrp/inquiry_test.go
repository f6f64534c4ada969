package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestInquiry(t *testing.T) {
	a, b := netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.101")
	for _, c := range []struct {
		name   string
		every  time.Duration
		since  time.Duration
		vips   []netip.Addr
		claims []time.Duration // of a
		until  time.Duration
		want   []string
	}{
		{name: "never", vips: []netip.Addr{a}, until: time.Hour},
		{name: "no VIP", every: time.Second, until: time.Minute},
		{name: "each in turn", every: 10 * time.Second, since: 2 * time.Second, vips: []netip.Addr{a, b}, until: 35 * time.Second, want: []string{"12s 101", "22s 100", "32s 101"}},
		{
			name: "a claim that is not repeated", every: 10 * time.Second, vips: []netip.Addr{a, b}, claims: []time.Duration{5 * time.Second}, until: 21 * time.Second,
			want: []string{"5s 100", "6s 100", "7s 100", "8s 100", "9s 100", "19s 101"},
		},
		{
			name: "one during the first seconds", every: 10 * time.Second, since: time.Hour, vips: []netip.Addr{b}, claims: []time.Duration{time.Hour + time.Second},
			until: time.Hour + 2*time.Second, want: []string{"1h0m1s 100", "1h0m2s 100"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q Inquiry
			var claims Claims
			var got []string
			for now := c.since; now <= c.until; now += 100 * time.Millisecond {
				if slices.Contains(c.claims, now) {
					claims.Note(now, a, "02:00:00:00:00:66")
				}
				if vip, ok := q.Due(now, c.since, c.every, c.vips, &claims); ok {
					got = append(got, fmt.Sprintf("%s %d", now, vip.As4()[3]))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("asked %q, want %q", got, c.want)
			}
		})
	}
}

// While another machine answers, the claims stay in a row and are reported; when it no longer does, they end.
func TestInquiryKeepsAClaimAlive(t *testing.T) {
	vip := netip.MustParseAddr("10.77.0.100")
	var q Inquiry
	var c Claims
	answers, reported := true, time.Duration(0)
	for now := time.Duration(0); now < 100*time.Second; now += 100 * time.Millisecond {
		answers = now < 80*time.Second
		if asked, ok := q.Due(now, 0, 10*time.Second, []netip.Addr{vip}, &c); ok && answers {
			c.Note(now, asked, "02:00:00:00:00:66")
			c.Defend(now)
		}
		switch found := c.Report(now); {
		case len(found) > 0 && reported == 0:
			reported = now
		case len(found) == 0 && reported > 0 && now < 80*time.Second:
			t.Fatalf("no longer reported after %s", now)
		case len(found) > 0 && now > 85*time.Second:
			t.Fatalf("still reported after %s", now)
		}
	}
	if reported < 12*time.Second || reported > 14*time.Second || c.defended != defendTimes {
		t.Errorf("first reported after %s; answered %d times", reported, c.defended)
	}
}
