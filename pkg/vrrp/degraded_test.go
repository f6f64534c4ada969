package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var stuck = Degraded{Reason: "the table loop made no progress"}

// degradedMaster returns a degraded MASTER with p, whose next advert is due after 1 s.
func degradedMaster(t *testing.T, p Params) *Machine {
	t.Helper()
	m := NewMachine(p)
	m.Step(0, stuck)
	m.Step(0, Startup{})
	m.takeOver(nil, CauseAlone, stateReason{Kind: alone, For: m.MasterDownInterval()})
	if got := m.EffectiveParams().Priority; m.State() != Master || got != PriorityDegraded {
		t.Fatalf("%s with priority %d, want a MASTER with priority %d", m.State(), got, PriorityDegraded)
	}
	return m
}

// TestDegradedMasterGivesWay: a degraded MASTER has priority 1, and its own address decides against another one.
func TestDegradedMasterGivesWay(t *testing.T) {
	const answer = "send_advert priority=1; announce why=lower_master"
	const yields = "retain for=1s; send_advert priority=1; MASTER->FAULT"
	higherAddress := netip.MustParseAddr("10.77.0.4")
	owner := us()
	owner.Priority = PriorityOwner
	for _, tt := range []struct {
		name string
		p    Params
		step step
	}{
		{"advertises 1", us(), step{sec, Tick{}, "send_advert priority=1", 2 * sec}},
		{"the address owner, too", owner, step{sec, Tick{}, "send_advert priority=1", 2 * sec}},
		{"a healthy director of lower priority", us(), step{500 * ms, hears(2, master), yields, 1500 * ms}},
		{"a healthy director of lower priority than the owner's", owner, step{500 * ms, hears(100, master), yields, 1500 * ms}},
		{"another degraded one of higher address", us(), step{500 * ms, hears(1, higherAddress), yields, 1500 * ms}},
		{"another degraded one of lower address", us(), step{500 * ms, hears(1, master), answer, 1500 * ms}},
		{"a healthy director that took over while it was stalled", us(), step{4 * sec, hears(2, master), "release; MASTER->FAULT", 4*sec + down1}},
		{"one that did, and resigned", us(), step{4 * sec, hears(0, master), "release; MASTER->FAULT", 4*sec + 255*sec/256}},
		{"a resignation", us(), step{500 * ms, hears(0, master), "send_advert priority=1; announce why=resigned", 1500 * ms}},
		{"refused adverts of a healthy director", us(), step{500 * ms, Evidence{Source: master, Priority: 2, Director: true}, "retain for=1s; MASTER->FAULT", 1500 * ms}},
		{"refused adverts of a degraded one of higher address", us(), step{500 * ms, Evidence{Source: higherAddress, Priority: 1, Director: true}, "retain for=1s; MASTER->FAULT", 1500 * ms}},
		{"refused adverts of a degraded one of lower address", us(), step{500 * ms, Evidence{Source: master, Priority: 1, Director: true}, "", sec}},
		{"shutdown", us(), step{500 * ms, Shutdown{}, "send_advert priority=0; release; MASTER->INIT", 0}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, degradedMaster(t, tt.p), []step{tt.step}) })
	}
}

// TestDegradedEnds: the priority of the cluster file is advertised at once, unless the director has stalled: then the
// adverts on its socket come first.
func TestDegradedEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"as MASTER", []step{
			{200 * ms, Degraded{}, "send_advert priority=100", 1200 * ms},
			{300 * ms, Degraded{}, "", 1200 * ms},
			{1200 * ms, Tick{}, "send_advert priority=100", 2200 * ms},
		}},
		{"another reason does not end it", []step{
			{200 * ms, Degraded{Reason: "no route"}, "", sec},
			{sec, Tick{}, "send_advert priority=1", 2 * sec},
		}},
		{"as MASTER after a stall", []step{{9 * sec, Degraded{}, "send_advert priority=100; acquire cause=stalled", 10 * sec}}},
		{"in FAULT", []step{
			{500 * ms, hears(50, master), "retain for=1s; send_advert priority=1; MASTER->FAULT", 1500 * ms},
			{505 * ms, Succeeded{}, "release", 500*ms + down1},
			{sec, Degraded{}, "FAULT->BACKUP", sec + down100},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, degradedMaster(t, us()), tt.steps) })
	}
}

// TestDegradedMasterIsReplaced: a BACKUP preempts it as if it had resigned, but only if it serves better.
func TestDegradedMasterIsReplaced(t *testing.T) {
	noPreempt, delayed, last := us(), us(), us()
	noPreempt.Preempt, delayed.PreemptDelay, last.Priority = false, time.Minute, 1
	for _, tt := range []struct {
		name  string
		p     Params
		steps []step
	}{
		{"with preempt", us(), []step{
			{sec, hears(1, master), "", down100},
			{down100, Tick{}, takes("preempted"), down100 + sec},
		}},
		{"without preempt", noPreempt, []step{
			{sec, hears(1, master), "", down100},
			{down100, Tick{}, takes("preempted"), down100 + sec},
		}},
		{"without preempt, and it recovers first", noPreempt, []step{
			{sec, hears(1, master), "", down100},
			{2 * sec, hears(50, master), "", 2*sec + down100},
		}},
		{"with preempt_delay", delayed, []step{
			{sec, hears(1, master), "", down100},
			{2 * sec, hears(1, master), "", down100},
			{down100, Tick{}, takes("preempted"), down100 + sec},
		}},
		{"not by one that is not ready", us(), []step{
			{0, NotReady{Reason: "checks"}, "", down100},
			{sec, hears(1, master), "", sec + down100},
		}},
		{"not by one that is degraded", us(), []step{
			{0, stuck, "BACKUP->FAULT", down1},
			{sec, hears(1, master), "", sec + down1},
		}},
		{"not by one of priority 1", last, []step{{sec, hears(1, master), "", sec + down1}}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, in(t, Backup, tt.p), tt.steps) })
	}
}

// TestDegradedDirectorWaitsLongest: it is the last one to take VIPs that nobody holds, even if it is the address owner.
func TestDegradedDirectorWaitsLongest(t *testing.T) {
	owner := us()
	owner.Priority = PriorityOwner
	play(t, NewMachine(owner), []step{
		{0, stuck, "", 0},
		{0, Startup{}, "INIT->FAULT", down1},
		{sec, hears(100, master), "", sec + down1},
		{2 * sec, hears(0, master), "", 2*sec + skew1},
		{2*sec + skew1, Tick{}, "send_advert priority=1; acquire cause=resigned; FAULT->MASTER", 3*sec + skew1},
	})
}

// TestDegraded: FAULT only while a peer is alive.
func TestDegraded(t *testing.T) {
	degraded := Degraded{Reason: "the table loop made no progress"}
	const resigns = "send_advert priority=0; release; MASTER->FAULT"
	const yields = "retain for=1s; send_advert priority=1; MASTER->FAULT"
	const takes = "send_advert priority=1; acquire cause=%s; FAULT->MASTER"
	t.Run("no peer takes over", func(t *testing.T) {
		m := in(t, Master, us())
		play(t, m, []step{
			{500 * ms, degraded, resigns, 500*ms + down1},
			{500*ms + down1, Tick{}, fmt.Sprintf(takes, "alone"), 1500*ms + down1},
			{600*ms + down1, degraded, "", 1500*ms + down1}, // already tried
		})
		if got, want := m.Reason(), "MASTER: no other director heard for 4s; degraded, and no other director serves: the table loop made no progress"; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
		play(t, m, []step{
			{700*ms + down1, hears(50, master), yields, 1700*ms + down1}, // a peer is alive after all
			{705*ms + down1, Succeeded{}, "release", 700*ms + 2*down1},
			{800*ms + down1, Degraded{}, "FAULT->BACKUP", 800*ms + down1 + down100},
			{900*ms + down1, hears(50, master), "", 800*ms + down1 + down100}, // preempted
		})
	})
	t.Run("a peer takes over", func(t *testing.T) {
		m := in(t, Master, us())
		play(t, m, []step{
			{500 * ms, degraded, resigns, 500*ms + down1},
			{sec, hears(50, master), "", sec + down1},
			{2 * sec, hears(50, master), "", 2*sec + down1}, // lower priority, not preempted
		})
		if got, want := m.Reason(), "FAULT: the table loop made no progress; 10.77.0.2 serves with priority 50"; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
		play(t, m, []step{{2*sec + down1, Tick{}, fmt.Sprintf(takes, "silent_peer"), 3*sec + down1}})
	})
	t.Run("a BACKUP that was about to preempt", func(t *testing.T) {
		play(t, in(t, Backup, us()), []step{
			{sec, hears(50, master), "", down100},
			{sec, degraded, "BACKUP->FAULT", sec + down1},
			{2 * sec, hears(0, master), "", 2*sec + skew1},
			{2*sec + skew1, Tick{}, fmt.Sprintf(takes, "resigned"), 3*sec + skew1},
		})
	})
	t.Run("a fault takes precedence", func(t *testing.T) {
		play(t, in(t, Master, us()), []step{
			{500 * ms, degraded, resigns, 500*ms + down1},
			{600 * ms, Faulted{Reason: "link down"}, "", 0},
			{700 * ms, Degraded{}, "", 0},
			{800 * ms, degraded, "", 0},
			{900 * ms, Recover{}, "", 900*ms + down1},
			{sec, Degraded{}, "FAULT->BACKUP", sec + down100},
		})
	})
	t.Run("before the start", func(t *testing.T) {
		play(t, in(t, Init, us()), []step{
			{0, degraded, "", 0},
			{0, Startup{}, "INIT->FAULT", down1},
		})
	})
}
