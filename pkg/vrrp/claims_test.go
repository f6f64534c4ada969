package vrrp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestClaimsAreAnswered(t *testing.T) {
	var c Claims
	at := time.Hour
	claim := func(first, answered bool, problems int) {
		t.Helper()
		gotFirst := c.Note(at, vip, "02:00:00:00:00:01")
		if got := c.Defend(at); gotFirst != first || got != answered || len(c.Report(at)) != problems {
			t.Errorf("at %s: first %t, answered %t, problems %v; want %t, %t, %d", at-time.Hour, gotFirst, got, c.Report(at), first, answered, problems)
		}
	}
	claim(true, true, 0)
	at += 500 * ms
	claim(false, false, 0)
	for n := 2; n <= defendTimes; n++ {
		at += sec
		problems := 0
		if at-time.Hour >= claimsLast {
			problems = 1
		}
		claim(false, true, problems)
	}
	at += sec
	claim(false, false, 1)
	const want = "10.77.0.100 is claimed by another machine as well, with the hardware address 02:00:00:00:00:01; it does not stop, so it is no longer answered"
	if got := c.Report(at)[0].Text; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	at += claimGap
	claim(false, false, 1)
	at += claimGap + ms
	if found := c.Report(at); len(found) > 0 {
		t.Errorf("after the silence: %v", found)
	}
	claim(true, true, 0)
	c.Forget()
	if c.Defend(at) {
		t.Error("an answer without a claim")
	}
	claim(true, false, 0) // within a second of the last answer
}

// TestClaimsReadEverySecond: claims that are read about once a second are answered each time.
func TestClaimsReadEverySecond(t *testing.T) {
	var c Claims
	at := time.Duration(0)
	for n, pause := range []time.Duration{sec, 990 * ms, 1020 * ms, 980 * ms, sec} {
		at += pause
		c.Note(at, vip, "x")
		if !c.Defend(at) {
			t.Errorf("claim %d, %s after the one before, is not answered", n, pause)
		}
	}
}

// TestClaimsProperties: whatever the others do, there is at most one answer in defendEvery less defendEarly, and at most
// defendTimes without a silence of claimGap.
func TestClaimsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Claims
		at, last, answers, heard := time.Duration(0), -time.Hour, 0, -time.Hour
		for range rapid.IntRange(1, 200).Draw(t, "claims") {
			at += rapid.SampledFrom([]time.Duration{0, ms, 100 * ms, sec, claimGap, claimGap + ms}).Draw(t, "pause")
			if at-heard > claimGap {
				answers = 0
			}
			heard = at
			c.Note(at, vip, "x")
			if !c.Defend(at) {
				continue
			}
			if answers++; at-last < defendEvery-defendEarly || answers > defendTimes {
				t.Fatalf("answer %d at %s, the last one at %s", answers, at, last)
			}
			last = at
		}
	})
}
