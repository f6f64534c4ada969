package vrrp

import "testing"

// TestEmptyMasterGivesWay: a MASTER whose pool is known to be empty gives way to another one, whatever its priority, once;
// then it takes the VIPs back when it has a real server, or when the other one is gone.
func TestEmptyMasterGivesWay(t *testing.T) {
	const (
		answer   = "send_advert priority=100; announce why=lower_master"
		gives    = "send_advert priority=0; release; MASTER->BACKUP"
		farewell = "send_advert priority=100"
		alone    = "send_advert priority=100; acquire cause=silent_peer; BACKUP->MASTER"
	)
	empty, checks := NotReady{Reason: "no real server takes connections", Empty: true}, NotReady{Reason: "checks"}
	owner, stubborn := us(), us()
	owner.Priority, stubborn.Priority = PriorityOwner, PriorityOwner
	stubborn.OwnerIgnoresAdverts = true
	for _, tt := range []struct {
		name  string
		p     Params
		steps []step
	}{
		{"it stays while it hears nobody", us(), []step{
			{100 * ms, empty, "", sec},
			{sec, Tick{}, "send_advert priority=100", 2 * sec},
		}},
		{"it gives way to a lower priority", us(), []step{
			{100 * ms, empty, "", sec},
			{500 * ms, hears(50, master), gives, 500*ms + down100},
			{1500 * ms, hears(50, master), "", 1500*ms + down100},
			{1600 * ms, Ready{}, "", 1500*ms + down100},
			{2500 * ms, hears(50, master), "", 1500*ms + down100}, // preempts
		}},
		{"the other one is gone", us(), []step{
			{100 * ms, empty, "", sec},
			{500 * ms, hears(50, master), gives, 500*ms + down100},
			{500*ms + down100, Tick{}, alone, 1500*ms + down100},
			{sec + down100, hears(50, master), answer, 2*sec + down100}, // once
		}},
		{"it resigned twice in a long time", us(), []step{
			{100 * ms, empty, "", sec},
			{500 * ms, hears(50, master), gives, 500*ms + down100},
			{500*ms + down100, Tick{}, alone, 1500*ms + down100},
			{1500*ms + down100, Tick{}, "send_advert priority=100", 2500*ms + down100},
			{15 * sec, Tick{}, "send_advert priority=100; acquire cause=stalled", 16 * sec},
			{15500 * ms, hears(50, master), gives, 15500*ms + down100},
		}},
		{"a higher priority, as ever", us(), []step{
			{100 * ms, empty, "", sec},
			{500 * ms, hears(200, master), "retain for=1s; " + farewell + "; MASTER->BACKUP", 1500 * ms},
		}},
		{"to a degraded one it does not", us(), []step{
			{100 * ms, empty, "", sec},
			{500 * ms, hears(PriorityDegraded, master), answer, 1500 * ms},
		}},
		{"it is not known to be empty", us(), []step{{100 * ms, checks, "", sec}, {500 * ms, hears(50, master), answer, 1500 * ms}}},
		{"it has a real server again", us(), []step{{100 * ms, empty, "", sec}, {200 * ms, Ready{}, "", sec}, {500 * ms, hears(50, master), answer, 1500 * ms}}},
		{"the owner, too", owner, []step{{100 * ms, empty, "", sec}, {500 * ms, hears(50, master), gives, 500*ms + 3*sec + sec/256}}},
		{"an owner that ignores adverts", stubborn, []step{
			{100 * ms, empty, "", sec},
			{500 * ms, hears(50, master), "send_advert priority=255; announce why=lower_master", 1500 * ms},
		}},
		{"refused adverts of a director", us(), []step{
			{100 * ms, empty, "", sec},
			{500 * ms, Evidence{Source: master, Priority: 50, Director: true}, "release; MASTER->BACKUP", 500*ms + down100},
		}},
		{"refused adverts of a director that gives way as well", us(), []step{
			{100 * ms, empty, "", sec},
			{500 * ms, Evidence{Source: master, Priority: 50, Director: true}, "release; MASTER->BACKUP", 500*ms + down100},
			{500*ms + down100, Tick{}, alone, 1500*ms + down100},
			{sec + down100, Evidence{Source: master, Priority: 50, Director: true}, "", 1500*ms + down100}, // once
		}},
		{"refused adverts of a stranger", us(), []step{{100 * ms, empty, "", sec}, {500 * ms, Evidence{Source: master, Priority: 50}, "", sec}}},
		{"adverts of its stall", us(), []step{
			{100 * ms, empty, "", sec},
			{4 * sec, hears(50, master), "release; MASTER->BACKUP", 4*sec + down100},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, in(t, Master, tt.p), tt.steps) })
	}
	m := in(t, Master, us())
	m.Step(0, empty)
	m.Step(0, hears(50, master))
	if got, want := m.Reason(), "BACKUP: 10.77.0.2 is MASTER as well, with priority 50, and no real server of this director takes connections"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}
