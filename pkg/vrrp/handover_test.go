package vrrp

import (
	"slices"
	"strings"
	"testing"
	"time"
)

var handsOver = HandOver{Reason: "an operator"}

// TestHandover: a MASTER that hands over keeps its VIPs until another director is MASTER and has announced them.
func TestHandover(t *testing.T) {
	const (
		lower  = "send_advert priority=1"
		usual  = "send_advert priority=100"
		given  = "retain for=1s; " + lower + "; MASTER->BACKUP"
		resign = "send_advert priority=0; retain for=2s; MASTER->BACKUP"
	)
	begin := []step{{sec, Tick{}, usual, 2 * sec}, {1500 * ms, handsOver, lower, 2500 * ms}}
	with := func(more ...step) []step { return append(begin[:2:2], more...) }
	waits := []step{{2500 * ms, Tick{}, lower, 3500 * ms}, {3500 * ms, Tick{}, lower, 4500 * ms}, {4500 * ms, Tick{}, lower, 5500 * ms}, {5500 * ms, Tick{}, lower, 6500 * ms}}
	waitsFor := func(begins Event, more ...step) []step {
		return slices.Concat([]step{begin[0], {1500 * ms, begins, lower, 2500 * ms}}, waits, more)
	}
	stops := HandOver{Reason: "a stop", Resign: true}
	taken := step{1600 * ms, hears(50, master), given, 2600 * ms}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"until the successor has announced the VIPs", with(taken, step{1650 * ms, Succeeded{}, "release", 1600*ms + down100})},
		{"for a second at most", with(taken,
			step{2600 * ms, Tick{}, "release", 1600*ms + down100},
			step{2700 * ms, Succeeded{}, "", 1600*ms + down100})},
		{"it stays out", with(taken,
			step{1650 * ms, Succeeded{}, "release", 1600*ms + down100},
			step{2600 * ms, hears(50, master), "", 2600*ms + down100},
			step{3600 * ms, hears(50, master), "", 3600*ms + down100},
			step{3700 * ms, TakeBack{}, "", 3600*ms + down100},
			step{4600 * ms, hears(50, master), "", 3600*ms + down100}, // preempts
		)},
		{"but not from one that hands over itself", with(taken,
			step{1650 * ms, Succeeded{}, "release", 1600*ms + down100},
			step{2600 * ms, hears(PriorityDegraded, master), "", 1600*ms + down100})},
		{"nor if nobody is MASTER", with(taken,
			step{1650 * ms, Succeeded{}, "release", 1600*ms + down100},
			step{1600*ms + down100, Tick{}, "send_advert priority=100; acquire cause=silent_peer; BACKUP->MASTER", 2600*ms + down100},
			step{1700*ms + down100, hears(50, master), usual + "; announce why=lower_master", 2700*ms + down100})},
		{"the successor is gone at once", with(taken,
			step{1700 * ms, PeerLost{Source: master, Silent: 30 * ms}, "release; send_advert priority=100; acquire cause=silent_peer; BACKUP->MASTER", 2700 * ms})},
		{"nobody takes over", waitsFor(handsOver,
			step{6500 * ms, Tick{}, usual, 7500 * ms},
			step{7 * sec, hears(50, master), usual + "; announce why=lower_master", 8 * sec})},
		{"a stop while it hands over", waitsFor(handsOver,
			step{6 * sec, stops, "", 6500 * ms},
			step{6500 * ms, Tick{}, resign, 6500*ms + sec + skew100})},
		{"degraded while it hands over", waitsFor(handsOver,
			step{6 * sec, stuck, "", 6500 * ms},
			step{6500 * ms, Tick{}, "send_advert priority=0; retain for=2s; MASTER->FAULT", 8500 * ms})},
		{"degraded for a while", waitsFor(handsOver,
			step{6 * sec, stuck, "", 6500 * ms},
			step{6100 * ms, Degraded{}, lower, 6500 * ms}, // it still hands over
			step{6500 * ms, Tick{}, usual, 7500 * ms})},
		{"degraded before", []step{
			{sec, Tick{}, usual, 2 * sec},
			{1100 * ms, stuck, "send_advert priority=0; release; MASTER->FAULT", 1100*ms + down1},
			{1100*ms + down1, Tick{}, lower + "; acquire cause=alone; FAULT->MASTER", 2100*ms + down1},
			{2100*ms + down1, handsOver, lower, 3100*ms + down1},
			{3100*ms + down1, Tick{}, lower, 4100*ms + down1},
			{4100*ms + down1, Tick{}, lower, 5100*ms + down1},
			{5100*ms + down1, Tick{}, lower, 6100*ms + down1},
			{6100*ms + down1, Tick{}, lower, 7100*ms + down1},
			{7100*ms + down1, Tick{}, lower, 8100*ms + down1}, // MASTER as before
		}},
		{"degraded, and a stop", waitsFor(stops,
			step{6 * sec, stuck, "", 6500 * ms},
			step{6500 * ms, Tick{}, "send_advert priority=0; retain for=2s; MASTER->FAULT", 8500 * ms})},
		{"nobody takes over from one that stops", waitsFor(stops,
			step{6500 * ms, Tick{}, resign, 6500*ms + sec + skew100},
			step{6500*ms + sec + skew100, Tick{}, "release; send_advert priority=100; acquire cause=alone; BACKUP->MASTER", 7500*ms + sec + skew100})},
		{"its successor after the resignation", waitsFor(stops,
			step{6500 * ms, Tick{}, resign, 6500*ms + sec + skew100},
			step{7300 * ms, hears(50, master), "", 8300 * ms},
			step{7310 * ms, Succeeded{}, "release", 7300*ms + down100})},
		{"its successor after the resignation announces nothing", waitsFor(stops,
			step{6500 * ms, Tick{}, resign, 6500*ms + sec + skew100},
			step{7300 * ms, hears(50, master), "", 8300 * ms},
			step{8300 * ms, Tick{}, "release", 7300*ms + down100})},
		{"it is taken back", with(step{1600 * ms, TakeBack{}, usual, 2600 * ms}, step{1700 * ms, hears(50, master), usual + "; announce why=lower_master", 2700 * ms})},
		{"a second time", with(step{1600 * ms, handsOver, "", 2500 * ms})},
		{"it has just become MASTER", []step{
			{500 * ms, handsOver, "", sec},
			{600 * ms, hears(50, master), usual + "; announce why=lower_master", 1600 * ms}, // the last advert of the one before
			{1600 * ms, Tick{}, lower, 2600 * ms},
		}},
		{"a resignation is no successor", with(step{1600 * ms, hears(0, master), lower + "; announce why=resigned", 2600 * ms})},
		{"a fault", with(step{1600 * ms, Faulted{Reason: "link"}, "send_advert priority=0; release; MASTER->FAULT", 0})},
		{"a fault while the VIPs are kept", with(taken, step{1650 * ms, Faulted{Reason: "link"}, "release; BACKUP->FAULT", 0})},
		{"a stalled loop is no reason to resign, too", with(step{1600 * ms, stuck, "", 2500 * ms}, step{1700 * ms, hears(50, master), "retain for=1s; " + lower + "; MASTER->FAULT", 2700 * ms})},
		{"a stalled loop while the VIPs are kept", with(taken, step{1650 * ms, stuck, "release; BACKUP->FAULT", 1600*ms + down1})},
		{"the lease ends", with(step{1600 * ms, Lost{Reason: "lease"}, "release; MASTER->BACKUP", 1600*ms + down100})},
		{"the lease ends while the VIPs are kept", with(taken, step{1650 * ms, Lost{Reason: "lease"}, "release", 1600*ms + down100})},
		{"a second signal", with(step{1600 * ms, Shutdown{}, "send_advert priority=0; release; MASTER->INIT", 0})},
		{"a stop while the VIPs are kept", with(taken, step{1650 * ms, Shutdown{}, "release; BACKUP->INIT", 0})},
		{"a successor that refuses our adverts", with(
			step{1600 * ms, Evidence{Source: master, Priority: 50, Director: true}, "retain for=1s; MASTER->BACKUP", 2600 * ms})},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, in(t, Master, us()), tt.steps) })
	}
	m := in(t, Backup, us())
	m.Step(0, hears(200, master))
	play(t, m, []step{{100 * ms, handsOver, "", down100}})
	if _, out := m.HandedOver(); out {
		t.Error("a BACKUP has handed over")
	}
}

// TestHandoverReasons: the reason names the handover in each of its states.
func TestHandoverReasons(t *testing.T) {
	m := in(t, Master, us())
	for _, tt := range []struct {
		at   time.Duration
		ev   Event
		want string
	}{
		{1500 * ms, handsOver, "MASTER: no other director heard for 3.61s; hands over: an operator"},
		{1600 * ms, hears(50, master), "BACKUP: handed over to 10.77.0.2, which is MASTER with priority 50"},
		{2600 * ms, hears(50, master), "BACKUP: lower priority 50 from 10.77.0.2, and this director has handed over"},
	} {
		if m.Step(tt.at, tt.ev); m.Reason() != tt.want {
			t.Errorf("%s: reason %q, want %q", tt.ev, m.Reason(), tt.want)
		}
	}
}

// TestHandoverOfASyncGroup: all members hand over, and none lets its VIPs go before they are announced.
func TestHandoverOfASyncGroup(t *testing.T) {
	s, a, b := pair(150, 100)
	s.all(a, Startup{})
	s.all(b, Startup{})
	s.run(10 * sec)
	s.send(a, 0, handsOver)
	s.run(s.now + 4*sec)
	for segment, n := range a.nodes {
		if n.m.State() != Backup || !n.m.Retains() {
			t.Errorf("member %d is %s, keeps its VIPs: %t\n%s", segment, n.m.State(), n.m.Retains(), s.log.String())
		}
		s.send(a, segment, Succeeded{})
	}
	s.run(s.now + 20*sec)
	s.expect(t, "BACKUP BACKUP", "MASTER MASTER")
	s.send(a, 1, TakeBack{})
	s.run(s.now + 10*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
	b.dead = true
	s.send(a, 1, handsOver)
	s.run(s.now + 30*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
	if text := s.log.String(); strings.Contains(text, "priority=0") {
		t.Errorf("a member resigned:\n%s", text)
	}
	s.send(a, 1, stuck)
	s.run(s.now + 30*sec) // MASTER and degraded
	s.send(a, 1, Degraded{})
	s.log.Reset()
	s.send(a, 1, handsOver)
	s.send(a, 1, stuck) // meanwhile
	s.run(s.now + 30*sec)
	if text := s.log.String(); strings.Count(text, "priority=0") != 2 {
		t.Errorf("not both members resigned:\n%s", text)
	}
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
}

// TestPreemptionOfASyncGroup: when a better director returns, each member keeps its VIPs until they are announced.
func TestPreemptionOfASyncGroup(t *testing.T) {
	s, a, b := pair(150, 100)
	s.all(b, Startup{})
	s.run(10 * sec)
	s.all(a, Startup{})
	for until := s.now + 10*sec; b.nodes[0].m.State() == Master && s.next(until); {
	}
	for segment, n := range b.nodes {
		if n.m.State() != Backup || !n.m.Retains() {
			t.Errorf("member %d is %s, keeps its VIPs: %t\n%s", segment, n.m.State(), n.m.Retains(), s.log.String())
		}
		s.send(b, segment, Succeeded{})
		if n.m.Retains() {
			t.Errorf("member %d keeps its VIPs that are announced", segment)
		}
	}
	s.run(s.now + 10*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
}

// TestHandOverWithin: the intervals before and during a handover, a second each for the skew and for the VIPs, and the master-down
// interval of a degraded director.
func TestHandOverWithin(t *testing.T) {
	if got, want := us().HandOverWithin(), (1+4+1+1)*sec+down1; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
