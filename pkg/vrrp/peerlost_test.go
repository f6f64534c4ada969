package vrrp

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPeerLost: what a PeerLost does in each situation of a BACKUP with priority 100. An advert of the MASTER has been
// received at 100 ms.
func TestPeerLost(t *testing.T) {
	const takes = "send_advert priority=100; acquire cause=silent_peer; BACKUP->MASTER"
	lost := PeerLost{Source: master, Silent: 30 * ms}
	heard := step{100 * ms, hears(150, master), "", 100*ms + down100}
	noPreempt := us()
	noPreempt.Preempt = false
	for _, tt := range []struct {
		name  string
		p     Params
		steps []step
	}{
		{"the MASTER", us(), []step{heard, {200 * ms, lost, takes, 1200 * ms}}},
		{"another router", us(), []step{heard, {200 * ms, PeerLost{Source: sourceOf(9)}, "", 100*ms + down100}}},
		{"a MASTER that was never heard", us(), []step{{200 * ms, lost, "", down100}}},
		{"a MASTER that resigned", us(), []step{heard, {150 * ms, hears(0, master), "", 150*ms + skew100}, {200 * ms, lost, "", 150*ms + skew100}}},
		{"a MASTER of lower priority that is not preempted", noPreempt, []step{
			{100 * ms, hears(50, master), "", 100*ms + down100}, {200 * ms, lost, takes, 1200 * ms},
		}},
		{"a MASTER of lower priority that is about to be preempted", us(), []step{
			{100 * ms, hears(50, master), "", down100}, {200 * ms, lost, takes, 1200 * ms},
		}},
		{"not ready", us(), []step{heard, {150 * ms, NotReady{}, "", 100*ms + down100}, {200 * ms, lost, takes, 1200 * ms}}},
		{"a MASTER whose adverts are refused", us(), []step{
			{100 * ms, Evidence{Source: master, Priority: 150, Interval: sec, Director: true}, "", 100*ms + down100},
			{200 * ms, lost, "", 100*ms + down100},
		}},
		{"after the loss of the VIPs", us(), []step{
			heard,
			{200 * ms, lost, takes, 1200 * ms},
			{300 * ms, Lost{}, "release; MASTER->BACKUP", 300*ms + down100},
			{400 * ms, lost, "", 300*ms + down100},
		}},
		{"degraded", us(), []step{heard, {150 * ms, stuck, "BACKUP->FAULT", 100*ms + down1}, {200 * ms, lost, "", 100*ms + down1}}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, in(t, Backup, tt.p), tt.steps) })
	}
}

// alarm is a false alarm about a MASTER of priority 150 that sends its next advert a millisecond later; it returns
// whether the alarm was believed.
func alarm(m *Machine, at time.Duration) bool {
	m.Step(at, hears(150, master))
	m.Step(at+ms, PeerLost{Source: master, Silent: 30 * ms})
	believed := m.State() == Master
	m.Step(at+2*ms, hears(150, master))
	return believed
}

// TestFalseAlarms: after a false alarm the next ones are ignored, for twice as long after each further one; a loss that
// is not followed by an advert is not false, nor is one after which the peer comes back later.
func TestFalseAlarms(t *testing.T) {
	m := in(t, Backup, us())
	at := sec
	for n, ignored := range []time.Duration{10 * sec, 20 * sec, 40 * sec, 80 * sec, 160 * sec, 300 * sec, 300 * sec} {
		if !alarm(m, at) || m.State() != Backup {
			t.Fatalf("alarm %d was not believed, or the MASTER not obeyed: %s", n, m.Reason())
		}
		for _, later := range []time.Duration{ms, ignored - 10*ms} {
			if alarm(m, at+later) {
				t.Errorf("%s after %d false alarms, another one was believed", later, n+1)
			}
		}
		if count, until := m.FalseAlarms(); count != n+1 || until != at+2*ms+ignored {
			t.Errorf("%d false alarms, ignored until %s", count, until)
		}
		at += ignored + sec
	}
	at += lossWindow
	alarm(m, at)
	if count, _ := m.FalseAlarms(); count != 1 {
		t.Errorf("%d false alarms in a row after a long time", count)
	}

	m = in(t, Backup, us())
	m.Step(sec, hears(150, master))
	m.Step(sec+ms, PeerLost{Source: master})
	if want := "MASTER: 10.77.0.2 is down according to BFD: silent for 0s"; m.Reason() != want {
		t.Errorf("%q, want %q", m.Reason(), want)
	}
	m.Step(2*sec, hears(0, master)) // it stops
	m.Step(5*sec, Tick{})
	m.Step(5*sec, hears(150, master)) // it has restarted
	if count, _ := m.FalseAlarms(); count != 0 {
		t.Errorf("%d false alarms", count)
	}
}

// settled returns a working segment with its MASTER, whose directors answer each other at once.
func settled(t *rapid.T) (*lan, *node) {
	l := genLAN(t, rapid.Just(true))
	l.refuses = func(*node, *node) bool { return false }
	for _, n := range l.nodes {
		n.m.p.DownAdverts, n.m.p.HigherPrioNoAdvert, n.m.p.LowerPrioNoAdvert = downAdverts, false, false
	}
	l.run(l.now + healed(l, rapid.Just(false), t) + 10*sec)
	if masters := l.masters(); len(masters) == 1 {
		l.run(l.now + time.Duration(rapid.IntRange(0, 4000).Draw(t, "later"))*ms)
		return l, masters[0]
	}
	t.Fatalf("%d MASTERs\n%s", len(l.masters()), l.log.String())
	return nil, nil
}

// tellAll passes a loss to all other directors, each within 5 ms.
func tellAll(t *rapid.T, l *lan, of *node) {
	for _, n := range l.nodes {
		if n != of {
			l.run(l.now + time.Duration(rapid.IntRange(0, 5).Draw(t, "apart"))*ms)
			l.send(n, PeerLost{Source: of.m.Params().Source, Silent: 30 * ms})
		}
	}
}

// TestLostMasterIsReplacedAtOnce: when all directors learn that the MASTER is gone, the VIPs have a holder at once, and
// 20 ms later only one. A master-down interval later it is the one with the highest priority: it may have learned of the
// new MASTER before it learned of the loss.
func TestLostMasterIsReplacedAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, gone := settled(t)
		gone.dead = true
		l.run(l.now + 10*ms) // what it sent last arrives
		tellAll(t, l, gone)
		if len(l.masters()) == 0 {
			t.Fatalf("no director has taken over\n%s", l.log.String())
		}
		l.run(l.now + 20*ms)
		masters := l.masters()
		if len(masters) != 1 {
			t.Fatalf("%d MASTERs\n%s", len(masters), l.log.String())
		}
		l.run(l.now + 10*sec)
		masters = l.masters()
		for _, n := range l.nodes {
			if n != gone && n.m.Params().Priority > masters[0].m.Params().Priority {
				t.Fatalf("%s is MASTER, and %s has a higher priority\n%s", masters[0].name, n.name, l.log.String())
			}
		}
		if wrong := l.wrong(); wrong != "" {
			t.Fatalf("%s\n%s", wrong, l.log.String())
		}
	})
}

// TestFalseAlarmIsSettled: after a false alarm there is one MASTER again as soon as the adverts have arrived, and each
// director that took over doubts further alarms.
func TestFalseAlarmIsSettled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, alive := settled(t)
		tellAll(t, l, alive)
		l.run(l.now + 25*ms)
		masters := l.masters()
		if len(masters) != 1 || masters[0] != alive {
			t.Fatalf("%d MASTERs\n%s", len(masters), l.log.String())
		}
		before := l.log.Len()
		tellAll(t, l, alive)
		l.run(l.now + 25*ms)
		if text := l.log.String()[before:]; len(text) > 0 {
			for _, n := range l.nodes {
				if n != alive && n.m.State() != Backup {
					t.Fatalf("a second alarm was believed:\n%s", text)
				}
			}
		}
		if wrong := l.wrong(); wrong != "" {
			t.Fatalf("%s\n%s", wrong, l.log.String())
		}
	})
}

func ExamplePeerLost() {
	fmt.Println(PeerLost{Source: sourceOf(0), Silent: 30 * ms})
	// Output: peer_lost source=10.77.0.2 silent=30ms
}
