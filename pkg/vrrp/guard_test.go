package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

func guarded() Params {
	return Params{VRID: 51, Version: 3, Priority: 150, AdvertInterval: 100 * time.Millisecond, Source: netip.MustParseAddr("10.77.0.2")}
}

func from(address string, priority uint8) Advert {
	return Advert{Source: netip.MustParseAddr(address), Priority: priority, Interval: 100 * time.Millisecond}
}

// admitted counts the adverts of a flood of 10 000 a second that are admitted.
func admitted(g *Guard, begin, span time.Duration, state State, a Advert) (n int) {
	for now := begin; now < begin+span; now += 100 * time.Microsecond {
		if g.Admit(now, state, guarded(), a) == DropNone {
			n++
		}
	}
	return n
}

func TestMasterAnswersAFloodOnceInAnInterval(t *testing.T) {
	for name, a := range map[string]Advert{"lower": from("10.77.0.66", 1), "resignation": from("10.77.0.66", 0), "lower address": from("10.77.0.1", 150)} {
		g := &Guard{}
		if n := admitted(g, time.Hour, 10*time.Second, Master, a); n < 100 || n > 100+answerBurst {
			t.Errorf("%s: %d adverts admitted in 10 s of flood, want one in each interval of 100 ms and %d at once", name, n, answerBurst)
		}
		if g.Admit(time.Hour+11*time.Second, Master, guarded(), a) != DropNone {
			t.Errorf("%s: adverts are still dropped a second after the flood", name)
		}
	}
}

func TestMasterAdmitsEveryHigherAdvert(t *testing.T) {
	g := &Guard{}
	for name, a := range map[string]Advert{"higher": from("10.77.0.66", 255), "higher address": from("10.77.0.3", 150)} {
		if n := admitted(g, time.Hour, time.Second, Master, a); n != 10_000 {
			t.Errorf("%s: %d of 10000 admitted", name, n)
		}
	}
}

func TestResignationHoldTimeDoubles(t *testing.T) {
	g := &Guard{}
	g.Admit(time.Hour-time.Second, Backup, guarded(), from("10.77.0.66", 150))
	n := admitted(g, time.Hour, 10*time.Minute, Backup, from("10.77.0.66", 0))
	if n < 10 || n > 20 {
		t.Errorf("%d resignations admitted in 10 minutes of flood, want some 16: after 1, 2, 4, … 60 s", n)
	}
	if n := admitted(g, 2*time.Hour, time.Second, Backup, from("10.77.0.3", 150)); n != 10_000 {
		t.Errorf("%d of 10000 adverts admitted; only resignations are rate-limited", n)
	}
}

func TestOrdinaryResignationsAreAdmitted(t *testing.T) {
	g := &Guard{}
	// keepalived resigns twice in a row when it goes to FAULT; the second resignation is redundant.
	for i, at := range []time.Duration{0, 3 * time.Second, 6 * time.Second, time.Minute} {
		if g.Admit(at, Backup, guarded(), from("10.77.0.3", 0)) != DropNone {
			t.Errorf("resignation %d at %s is dropped", i+1, at)
		}
	}
}

// TestDegradedMasterAdmitsEveryAdvertItGivesWayTo: whatever the priority in its cluster file.
func TestDegradedMasterAdmitsEveryAdvertItGivesWayTo(t *testing.T) {
	m := NewMachine(guarded())
	m.Step(0, stuck)
	g := &Guard{}
	for _, tt := range []struct {
		a   Advert
		all bool
	}{{from("10.77.0.66", 2), true}, {from("10.77.0.66", 1), true}, {from("10.77.0.1", 1), false}} {
		n := 0
		for range 100 {
			if g.Admit(time.Hour, Master, m.EffectiveParams(), tt.a) == DropNone {
				n++
			}
		}
		if want := map[bool]int{true: 100, false: answerBurst}[tt.all]; n != want {
			t.Errorf("%v: %d of 100 admitted, want %d", tt.a, n, want)
		}
	}
}

// A router that is not MASTER cannot resign.
func TestResignationOfNonMaster(t *testing.T) {
	g := &Guard{}
	g.Admit(0, Backup, guarded(), from("10.77.0.3", 150))
	for _, state := range []State{Backup, Fault} {
		if why := g.Admit(time.Second, state, guarded(), from("10.77.0.66", 0)); why != DropResignation {
			t.Errorf("%s: %s, want %s", state, why, DropResignation)
		}
	}
	if why := g.Admit(2*time.Second, Backup, guarded(), from("10.77.0.3", 0)); why != DropNone {
		t.Errorf("the resignation of the MASTER is dropped: %s", why)
	}
}
