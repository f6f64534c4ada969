package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

func TestRFC9568Section6_1Timers(t *testing.T) {
	tests := []struct {
		version, priority uint8
		interval          time.Duration
		skew, down        time.Duration
	}{
		{3, 255, sec, 3906250, 3*sec + 3906250},
		{3, 100, sec, skew100, down100},
		{3, 1, sec, 996093750, 3*sec + 996093750},
		{3, 100, 100 * ms, skew100 / 10, down100 / 10},
		{3, 254, 10 * ms, 78125, 30*ms + 78125},
		{3, 100, MaxIntervalV3, 24953906250, 3*MaxIntervalV3 + 24953906250},
	}
	for _, tt := range tests {
		if got := SkewTime(tt.version, tt.priority, tt.interval); got != tt.skew {
			t.Errorf("SkewTime(%d, %d, %s) = %s, want %s", tt.version, tt.priority, tt.interval, got, tt.skew)
		}
		if got := MasterDownInterval(tt.version, tt.priority, tt.interval, downAdverts); got != tt.down {
			t.Errorf("MasterDownInterval(%d, %d, %s) = %s, want %s", tt.version, tt.priority, tt.interval, got, tt.down)
		}
	}
}

// TestRFC3768Section6_1Timers: the skew of version 2 does not depend on the interval.
func TestRFC3768Section6_1Timers(t *testing.T) {
	for _, interval := range []time.Duration{sec, 10 * sec} {
		if got := SkewTime(2, 100, interval); got != skew100 {
			t.Errorf("SkewTime(2, 100, %s) = %s, want %s", interval, got, skew100)
		}
		if got, want := MasterDownInterval(2, 100, interval, downAdverts), 3*interval+skew100; got != want {
			t.Errorf("MasterDownInterval(2, 100, %s) = %s, want %s", interval, got, want)
		}
	}
}

func TestRFC9568Section6_4_1Initialize(t *testing.T) {
	t.Run("to BACKUP with a master-down timer", func(t *testing.T) {
		play(t, NewMachine(us()), []step{
			{0, Tick{}, "", 0},
			{sec, Startup{}, "INIT->BACKUP", sec + down100},
			{sec, Startup{}, "", sec + down100},
		})
	})
	t.Run("the owner to MASTER at once", func(t *testing.T) {
		p := us()
		p.Priority = PriorityOwner
		play(t, NewMachine(p), []step{
			{sec, Startup{}, "send_advert priority=255; acquire cause=owner; INIT->MASTER", 2 * sec},
		})
	})
	t.Run("an owner that is not ready listens first", func(t *testing.T) {
		p := us()
		p.Priority = PriorityOwner
		down := MasterDownInterval(3, 255, sec, downAdverts)
		play(t, NewMachine(p), []step{
			{0, NotReady{Reason: "checks"}, "", 0},
			{0, Startup{}, "INIT->BACKUP", down},
			{sec, hears(100, master), "", sec + down},
		})
	})
	t.Run("a known fault leads to FAULT", func(t *testing.T) {
		play(t, NewMachine(us()), []step{
			{0, Faulted{Reason: "link down"}, "", 0},
			{0, Startup{}, "INIT->FAULT", 0},
		})
	})
	t.Run("a fault that ended does not", func(t *testing.T) {
		play(t, NewMachine(us()), []step{
			{0, Faulted{Reason: "link down"}, "", 0},
			{0, Recover{}, "", 0},
			{0, Startup{}, "INIT->BACKUP", down100},
		})
	})
}

func TestRFC9568Section6_4_2Backup(t *testing.T) {
	lowerPreempt, noPreempt := us(), us()
	noPreempt.Preempt = false
	v2 := us()
	v2.Version = 2
	tests := []struct {
		name  string
		p     Params
		steps []step
	}{
		{"master-down timer fires", us(), []step{
			{down100 - 1, Tick{}, "", down100},
			{down100, Tick{}, takes("alone"), down100 + sec},
		}},
		{"higher priority resets the timer", us(), []step{
			{sec, hears(150, master), "", sec + down100},
			{sec + down100, Tick{}, takes("silent_peer"), 2*sec + down100},
		}},
		{"equal priority resets the timer", us(), []step{{sec, hears(100, master), "", sec + down100}}},
		{"equal priority and higher address resets the timer", us(), []step{{sec, hears(100, vip), "", sec + down100}}},
		{"lower priority is ignored with preempt", lowerPreempt, []step{
			{sec, hears(99, master), "", down100},
			{2 * sec, hears(99, master), "", down100},
			{down100, Tick{}, takes("preempted"), down100 + sec},
		}},
		{"lower priority ignored, then no adverts: a silent peer", us(), []step{
			{100 * ms, hears(99, master), "", down100},
			{down100, Tick{}, takes("silent_peer"), down100 + sec},
		}},
		{"lower priority resets the timer without preempt", noPreempt, []step{
			{sec, hears(99, master), "", sec + down100},
			{2 * sec, hears(99, master), "", 2*sec + down100},
		}},
		{"priority 0 sets the timer to the skew", us(), []step{
			{sec, hears(150, master), "", sec + down100},
			{2 * sec, hears(0, master), "", 2*sec + skew100},
			{2*sec + skew100, Tick{}, takes("resigned"), 3*sec + skew100},
		}},
		{"priority 0 without preempt as well", noPreempt, []step{
			{sec, hears(99, master), "", sec + down100},
			{2 * sec, hears(0, master), "", 2*sec + skew100},
		}},
		{"a second priority 0 does not start the skew again", us(), []step{
			{sec, hears(0, master), "", sec + skew100},
			{sec + 300*ms, hears(0, master), "", sec + skew100},
		}},
		{"priority 0 never makes the timer longer", us(), []step{
			{down100 - 100*ms, hears(0, master), "", down100},
		}},
		{"priority 0, then another director serves", us(), []step{
			{sec, hears(0, master), "", sec + skew100},
			{sec + 100*ms, hears(150, vip), "", sec + 100*ms + down100},
		}},
		{"version 3 learns the interval", us(), []step{
			{sec, Advert{Source: master, Priority: 150, Interval: 100 * ms}, "", sec + down100/10},
			{sec, Advert{Source: master, Priority: 0, Interval: 100 * ms}, "", sec + skew100/10},
			{sec + skew100/10, Tick{}, takes("resigned"), 2*sec + skew100/10}, // on MASTER our own
		}},
		{"no interval means ours", us(), []step{{sec, Advert{Source: master, Priority: 150}, "", sec + down100}}},
		{"version 2 does not learn it", v2, []step{
			{sec, Advert{Source: master, Priority: 150, Interval: 100 * ms}, "", sec + down100},
		}},
		{"an own advert is ignored", us(), []step{{sec, hears(150, backup), "", down100}}},
		{"an advert that was queued during a stall comes before the timer", us(), []step{
			{2 * down100, hears(150, master), "", 3 * down100},
		}},
		{"shutdown", us(), []step{{sec, Shutdown{}, "BACKUP->INIT", 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { play(t, in(t, Backup, tt.p), tt.steps) })
	}
}

func TestRFC9568Section6_4_3Active(t *testing.T) {
	const answer = "send_advert priority=100; announce why=lower_master"
	const farewell = "send_advert priority=100"
	other := netip.MustParseAddr("10.77.0.4")
	tests := []struct {
		name  string
		steps []step
	}{
		{"adverts at the interval", []step{
			{sec, Tick{}, "send_advert priority=100", 2 * sec},
			{2 * sec, Tick{}, "send_advert priority=100", 3 * sec},
		}},
		{"late adverts do not drift", []step{
			{sec + 300*ms, Tick{}, "send_advert priority=100", 2 * sec},
			{2*sec + 999*ms, Tick{}, "send_advert priority=100", 3 * sec},
		}},
		{"a stall makes no burst", []step{
			{2500 * ms, Tick{}, "send_advert priority=100", 3 * sec},
		}},
		{"after a stall longer than the peers' master-down interval the VIPs are announced again", []step{
			{2999 * ms, Tick{}, "send_advert priority=100", 3 * sec},
			{6 * sec, Tick{}, "send_advert priority=100; acquire cause=stalled", 7 * sec},
		}},
		{"shutdown resigns, then releases", []step{
			{500 * ms, Shutdown{}, "send_advert priority=0; release; MASTER->INIT", 0},
		}},
		{"priority 0 is answered at once", []step{
			{500 * ms, hears(0, master), "send_advert priority=100; announce why=resigned", 1500 * ms},
		}},
		{"higher priority", []step{
			{500 * ms, hears(101, master), "retain for=1s; " + farewell + "; MASTER->BACKUP", 1500 * ms},
			{505 * ms, Succeeded{}, "release", 500*ms + down100},
		}},
		{"higher priority, and no announcement", []step{
			{500 * ms, hears(101, master), "retain for=1s; " + farewell + "; MASTER->BACKUP", 1500 * ms},
			{1499 * ms, hears(101, master), "", 1500 * ms},
			{1500 * ms, Tick{}, "release", 1499*ms + down100},
		}},
		{"higher priority, and silence", []step{
			{500 * ms, hears(101, master), "retain for=1s; " + farewell + "; MASTER->BACKUP", 1500 * ms},
			{500*ms + down100, Tick{}, "release; " + takes("silent_peer"), 1500*ms + down100},
		}},
		{"a refused advert of a director of higher rank", []step{
			{500 * ms, Evidence{Source: master, Priority: 101, Director: true}, "retain for=1s; MASTER->BACKUP", 1500 * ms},
			{505 * ms, Succeeded{}, "release", 500*ms + down100},
		}},
		{"higher priority, queued during a stall: no advert", []step{
			{9 * sec, hears(101, master), "release; MASTER->BACKUP", 9*sec + down100},
		}},
		{"any priority, queued during a stall: no advert, and a full master-down interval for it", []step{
			{9 * sec, hears(50, master), "release; MASTER->BACKUP", 9*sec + down100},
			{10 * sec, hears(50, master), "", 9*sec + down100},
			{9*sec + down100, Tick{}, takes("preempted"), 10*sec + down100},
		}},
		{"a refused advert of a director, queued during a stall", []step{
			{9 * sec, Evidence{Source: master, Priority: 50, Director: true}, "release; MASTER->BACKUP", 9*sec + down100},
		}},
		{"a refused advert of another router, queued during a stall", []step{
			{9 * sec, Evidence{Source: master, Priority: 200}, "send_advert priority=100; acquire cause=stalled", 10 * sec},
		}},
		{"a refused advert of a director of lower rank", []step{
			{500 * ms, Evidence{Source: master, Priority: 50, Director: true}, "", sec},
		}},
		{"a peer that took over during a stall and resigned", []step{
			{9 * sec, hears(0, master), "release; MASTER->BACKUP", 9*sec + skew100},
			{9*sec + skew100, Tick{}, takes("resigned"), 10*sec + skew100},
		}},
		{"a stall shorter than the peers' master-down interval changes nothing", []step{
			{2999 * ms, hears(50, master), answer, 3999 * ms},
		}},
		{"higher priority, and its interval", []step{
			{0, Advert{Source: master, Priority: 150, Interval: 2 * sec}, "retain for=1s; " + farewell + "; MASTER->BACKUP", sec},
			{5 * ms, Succeeded{}, "release", 2 * down100},
		}},
		{"equal priority, higher address", []step{
			{500 * ms, hears(100, other), "retain for=1s; " + farewell + "; MASTER->BACKUP", 1500 * ms},
		}},
		{"equal priority, lower address", []step{{500 * ms, hears(100, master), answer, 1500 * ms}}},
		{"lower priority", []step{{500 * ms, hears(99, other), answer, 1500 * ms}}},
		{"an own advert is ignored", []step{{500 * ms, hears(200, backup), "", sec}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { play(t, in(t, Master, us()), tt.steps) })
	}
}

// TestRFC9568Section6_1OwnerAlwaysPreempts: regardless of Preempt_Mode.
func TestRFC9568Section6_1OwnerAlwaysPreempts(t *testing.T) {
	p := us()
	p.Priority, p.Preempt = PriorityOwner, false
	down := MasterDownInterval(3, PriorityOwner, sec, downAdverts)
	play(t, in(t, Fault, p), []step{
		{0, Recover{}, "FAULT->BACKUP", down},
		{2 * sec, hears(254, master), "", down},
		{down, Tick{}, "send_advert priority=255; acquire cause=preempted; BACKUP->MASTER", down + sec},
	})
}
