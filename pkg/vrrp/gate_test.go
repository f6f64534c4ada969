package vrrp

import (
	"testing"

	"pgregory.net/rapid"
)

var (
	shut = Gate{Reason: "gateway: no answer"}
	open = Gate{}
)

// TestGate: while the gate is shut a director does not become MASTER; when it opens, one whose timer has expired takes
// over after one more advert interval and the skew.
func TestGate(t *testing.T) {
	owner := us()
	owner.Priority = PriorityOwner
	for _, tt := range []struct {
		name  string
		p     Params
		steps []step
	}{
		{"nobody is MASTER", us(), []step{
			{0, shut, "", 0},
			{0, Startup{}, "INIT->BACKUP", down100},
			{down100, Tick{}, "", 0},
			{9 * sec, Tick{}, "", 0},
			{10 * sec, open, "", 11*sec + skew100},
			{11*sec + skew100, Tick{}, takesOverAs("alone"), 12*sec + skew100},
		}},
		{"the gate opens before the timer ends", us(), []step{
			{0, shut, "", 0},
			{0, Startup{}, "INIT->BACKUP", down100},
			{sec, open, "", down100},
			{down100, Tick{}, takesOverAs("alone"), down100 + sec},
		}},
		{"a MASTER of lower priority", us(), []step{
			{0, Startup{}, "INIT->BACKUP", down100},
			{100 * ms, hears(50, master), "", down100},
			{200 * ms, shut, "", 100*ms + down100},
			{1100 * ms, hears(50, master), "", 1100*ms + down100},
			{1200 * ms, open, "", 1100*ms + down100},
			{2100 * ms, hears(50, master), "", 1100*ms + down100},
			{1100*ms + down100, Tick{}, takesOverAs("preempted"), 2100*ms + down100},
		}},
		{"the MASTER falls silent, and is back before the gate opens", us(), []step{
			{0, Startup{}, "INIT->BACKUP", down100},
			{0, shut, "", down100},
			{100 * ms, hears(150, master), "", 100*ms + down100},
			{5 * sec, Tick{}, "", 0},
			{6 * sec, hears(150, master), "", 6*sec + down100},
			{7 * sec, open, "", 6*sec + down100},
		}},
		{"the MASTER is heard right after the gate opens", us(), []step{
			{0, Startup{}, "INIT->BACKUP", down100},
			{0, shut, "", down100},
			{100 * ms, hears(150, master), "", 100*ms + down100},
			{5 * sec, Tick{}, "", 0},
			{6 * sec, open, "", 7*sec + skew100},
			{6900 * ms, hears(150, master), "", 6900*ms + down100},
		}},
		{"the MASTER resigns", us(), []step{
			{0, Startup{}, "INIT->BACKUP", down100},
			{0, shut, "", down100},
			{100 * ms, hears(150, master), "", 100*ms + down100},
			{200 * ms, hears(0, master), "", 200*ms + skew100},
			{sec, Tick{}, "", 0},
			{2 * sec, open, "", 3*sec + skew100},
			{3*sec + skew100, Tick{}, takesOverAs("resigned"), 4*sec + skew100},
		}},
		{"BFD finds that the MASTER is gone", us(), []step{
			{0, Startup{}, "INIT->BACKUP", down100},
			{0, shut, "", down100},
			{100 * ms, hears(150, master), "", 100*ms + down100},
			{200 * ms, PeerLost{Source: master, Silent: 30 * ms}, "", 0},
			{300 * ms, open, "", 1300*ms + skew100},
			{1300*ms + skew100, Tick{}, takesOverAs("silent_peer"), 2300*ms + skew100},
		}},
		{"the address owner", owner, []step{
			{0, shut, "", 0},
			{0, Startup{}, "INIT->BACKUP", MasterDownInterval(3, PriorityOwner, sec, 3)},
			{4 * sec, Tick{}, "", 0},
		}},
		{"degraded", us(), []step{
			{0, shut, "", 0},
			{0, stuck, "", 0},
			{0, Startup{}, "INIT->FAULT", down1},
			{down1, Tick{}, "", 0},
			{5 * sec, open, "", 6*sec + skew1},
			{6*sec + skew1, Tick{}, "send_advert priority=1; acquire cause=alone; FAULT->MASTER", 7*sec + skew1},
		}},
		{"a fault, and its end", us(), []step{
			{0, shut, "", 0},
			{0, Startup{}, "INIT->BACKUP", down100},
			{5 * sec, Tick{}, "", 0},
			{6 * sec, Faulted{Reason: "link"}, "BACKUP->FAULT", 0},
			{7 * sec, open, "", 0},
			{8 * sec, Recover{}, "FAULT->BACKUP", 8*sec + down100},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, NewMachine(tt.p), tt.steps) })
	}
}

// TestGateOfAMaster: a MASTER whose gate shuts stays MASTER, until it leaves that state for another reason.
func TestGateOfAMaster(t *testing.T) {
	m := in(t, Master, us())
	play(t, m, []step{
		{100 * ms, shut, "", sec},
		{sec, Tick{}, "send_advert priority=100", 2 * sec},
		{1200 * ms, Lost{Reason: "lease"}, "release; MASTER->BACKUP", 1200*ms + down100},
		{1200*ms + down100, Tick{}, "", 0},
	})
	const want = "BACKUP: lost the virtual addresses: lease; no MASTER is heard, and this director must not become it: gateway: no answer"
	if m.Reason() != want {
		t.Errorf("reason %q, want %q", m.Reason(), want)
	}
}

func takesOverAs(cause string) string {
	return "send_advert priority=100; acquire cause=" + cause + "; BACKUP->MASTER"
}

// TestGateKeeps: no director becomes MASTER while its gate is shut, whatever happens; and those whose gates are shut
// delay no other one. If all gates are shut nobody is MASTER, and one of them is a master-down interval after they open,
// or sooner.
func TestGateKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := genLAN(t, rapid.Bool())
		l.refuses = func(_, _ *node) bool { return false }
		disturb(t, l)
		wait := healed(l, rapid.Bool(), t)
		l.run(l.now + wait)
		settled := l.masters()
		if len(settled) != 1 {
			t.Fatalf("at %s: %d MASTERs\n%s", l.now, len(settled), l.log.String())
		}
		willing := false
		for _, n := range l.nodes {
			if rapid.Bool().Draw(t, "gate is shut") {
				l.send(n, shut)
			} else {
				willing = willing || n != settled[0]
			}
		}
		if rapid.Bool().Draw(t, "the MASTER dies") {
			settled[0].dead, settled[0].holds = true, false
		}
		l.run(l.now + 2*wait)
		if soon := l.masters(); (len(soon) == 1) != (willing || !settled[0].dead) {
			t.Fatalf("at %s: %d MASTERs\n%s", l.now, len(soon), l.log.String())
		}
		for _, n := range l.nodes {
			l.send(n, open)
		}
		l.run(l.now + wait)
		if again := l.masters(); len(again) != 1 {
			t.Fatalf("at %s: %d MASTERs with all gates open\n%s", l.now, len(again), l.log.String())
		}
		if wrong := l.wrong(); wrong != "" {
			t.Fatalf("%s\n%s", wrong, l.log.String())
		}
	})
}
