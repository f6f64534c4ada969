package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// us has priority 100 at 10.77.0.3: skew 609.375 ms, master-down interval 3.609375 s.
func us() Params {
	return Params{VRID: 51, Version: 3, Priority: 100, AdvertInterval: sec, Preempt: true, Source: backup}
}

const (
	skew100 = 609375 * time.Microsecond
	down100 = 3*sec + skew100

	// A degraded director has priority 1.
	skew1 = 996093750
	down1 = 3*sec + skew1
)

// in returns a machine in the given state at time 0.
func in(t testing.TB, state State, p Params) *Machine {
	t.Helper()
	m := NewMachine(p)
	switch state {
	case Backup:
		m.Step(0, Startup{})
	case Master:
		m.Step(0, Startup{})
		m.takeOver(nil, CauseAlone, stateReason{Kind: alone, For: m.MasterDownInterval()})
	case Fault:
		m.Step(0, Faulted{Reason: "link down"})
		m.Step(0, Startup{})
	}
	if m.State() != state {
		t.Fatalf("state = %s, want %s", m.State(), state)
	}
	return m
}

func hears(priority uint8, from netip.Addr) Advert {
	return Advert{Source: from, Priority: priority, Interval: sec}
}

// step is one line of a scenario.
type step struct {
	at    time.Duration
	event Event
	want  string        // actions, joined by "; "; transitions as FROM->TO
	due   time.Duration // the deadline after it; 0: none
}

func play(t *testing.T, m *Machine, steps []step) {
	t.Helper()
	for i, s := range steps {
		got := brieflyAll(m.Step(s.at, s.event))
		if got != s.want {
			t.Errorf("step %d, %s %s: actions %q, want %q", i, s.at, s.event, got, s.want)
		}
		if due, _ := m.Deadline(); due != s.due {
			t.Errorf("step %d, %s %s: deadline %s, want %s", i, s.at, s.event, due, s.due)
		}
	}
}

func brieflyAll(acts []Action) string {
	var words []string
	for _, a := range acts {
		if tr, ok := a.(Transition); ok {
			words = append(words, tr.From.String()+"->"+tr.To.String())
			continue
		}
		words = append(words, a.String())
	}
	return strings.Join(words, "; ")
}

const takesOver = "send_advert priority=100; acquire cause=%; BACKUP->MASTER"

func takes(cause string) string { return strings.Replace(takesOver, "%", cause, 1) }

// TestKeepalivedPreemptDelay: counted from the first lower advert, cancelled by an equal or higher one (vrrp.c,
// vrrp_state_backup).
func TestKeepalivedPreemptDelay(t *testing.T) {
	p := us()
	p.PreemptDelay = 2 * sec
	play(t, in(t, Backup, p), []step{
		{1 * sec, hears(50, master), "", 1*sec + down100},
		{2 * sec, hears(50, master), "", 2*sec + down100},
		{2500 * ms, hears(100, master), "", 2500*ms + down100}, // cancels the delay
		{3 * sec, hears(50, master), "", 3*sec + down100},
		{4999 * ms, hears(50, master), "", 4999*ms + down100},
		{5 * sec, hears(50, master), "", 4999*ms + down100}, // from now on ignored
		{8 * sec, hears(50, master), "", 4999*ms + down100},
		{4999*ms + down100, Tick{}, takes("preempted"), 5999*ms + down100},
	})
}

func TestReadiness(t *testing.T) {
	t.Run("no preemption, but a takeover if there is no MASTER", func(t *testing.T) {
		m := in(t, Backup, us())
		play(t, m, []step{
			{0, NotReady{Reason: "checks"}, "", down100},
			{sec, hears(50, master), "", sec + down100},
			{sec + down100, Tick{}, takes("silent_peer"), 2*sec + down100},
			{2 * down100, NotReady{Reason: "checks"}, "send_advert priority=100", 4*sec + down100}, // stays MASTER
		})
	})
	t.Run("not ready restarts the timer of a peer that was about to be preempted", func(t *testing.T) {
		play(t, in(t, Backup, us()), []step{
			{3 * sec, hears(50, master), "", down100},
			{3500 * ms, NotReady{Reason: "checks"}, "", 3*sec + down100},
			{4 * sec, hears(50, master), "", 4*sec + down100},
			{4500 * ms, Ready{}, "", 4*sec + down100},
			{5 * sec, hears(50, master), "", 4*sec + down100},
			{6500 * ms, hears(50, master), "", 4*sec + down100},
			{4*sec + down100, Tick{}, takes("preempted"), 5*sec + down100},
		})
	})
}

func TestFault(t *testing.T) {
	t.Run("a MASTER resigns", func(t *testing.T) {
		m := in(t, Master, us())
		play(t, m, []step{
			{500 * ms, Faulted{Reason: "link down"}, "send_advert priority=0; release; MASTER->FAULT", 0},
			{sec, hears(50, master), "", 0},
			{2 * sec, Tick{}, "", 0},
			{2 * sec, Faulted{Reason: "mysql: connection refused"}, "", 0},
		})
		if got, want := m.Reason(), "FAULT: mysql: connection refused; 10.77.0.2 serves with priority 50"; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
		play(t, m, []step{{3 * sec, Recover{}, "FAULT->BACKUP", 3*sec + down100}})
	})
	t.Run("recovery waits for our own interval", func(t *testing.T) {
		play(t, in(t, Backup, us()), []step{
			{0, Advert{Source: master, Priority: 150, Interval: 100 * ms}, "", down100 / 10},
			{0, Faulted{Reason: "x"}, "BACKUP->FAULT", 0},
			{sec, Recover{}, "FAULT->BACKUP", sec + down100},
		})
	})
	t.Run("shutdown", func(t *testing.T) {
		play(t, in(t, Fault, us()), []step{{sec, Shutdown{}, "FAULT->INIT", 0}})
	})
}

func TestLost(t *testing.T) {
	t.Run("the lease was not renewed", func(t *testing.T) {
		play(t, in(t, Master, us()), []step{
			{900 * ms, Lost{Reason: "lease"}, "release; MASTER->BACKUP", 900*ms + down100},
			{900*ms + down100, Tick{}, takes("alone"), 1900*ms + down100},
		})
	})
	const again = "send_advert priority=100; acquire cause=stalled"
	t.Run("a stall, no takeover", func(t *testing.T) {
		play(t, in(t, Master, us()), []step{
			{9 * sec, Lost{Reason: "lease"}, again, 10 * sec},
			{10*sec - ms, Lost{Reason: "lease"}, again, 11*sec - ms}, // reported by a loop that resumed later
			{10 * sec, Lost{Reason: "lease"}, "release; MASTER->BACKUP", 10*sec + down100},
		})
	})
	t.Run("a stall, the timer expires first", func(t *testing.T) {
		play(t, in(t, Master, us()), []step{
			{2500 * ms, Tick{}, "send_advert priority=100", 3 * sec},
			{2501 * ms, Lost{Reason: "lease"}, again, 3501 * ms},
		})
	})
	t.Run("a stall, a peer took over", func(t *testing.T) {
		play(t, in(t, Master, us()), []step{
			{9 * sec, hears(50, master), "release; MASTER->BACKUP", 9*sec + down100},
			{9 * sec, Lost{Reason: "lease"}, "", 9*sec + down100},
		})
	})
}

func TestReconfigure(t *testing.T) {
	with := func(edit func(*Params)) Reconfigure {
		p := us()
		edit(&p)
		return Reconfigure{Params: p}
	}
	t.Run("a change of priority changes the master-down timer", func(t *testing.T) {
		m := in(t, Backup, us())
		before := m.Reason()
		play(t, m, []step{{sec, with(func(p *Params) { p.Priority = 228 }), "", 3*sec + 28*sec/256}})
		if m.Reason() != before {
			t.Errorf("reason became %q, want it unchanged: %q", m.Reason(), before)
		}
	})
	t.Run("a timer that is moved into the past expires", func(t *testing.T) {
		play(t, in(t, Backup, us()), []step{
			{3500 * ms, with(func(p *Params) { p.Priority = 228 }), "send_advert priority=228; acquire cause=alone; BACKUP->MASTER", 4500 * ms},
		})
	})
	t.Run("a longer interval does not delay the next advert", func(t *testing.T) {
		play(t, in(t, Master, us()), []step{
			{500 * ms, with(func(p *Params) { p.AdvertInterval = 10 * sec }), "", sec},
			{sec, Tick{}, "send_advert priority=100", 11 * sec},
		})
	})
	t.Run("a shorter interval takes effect at once", func(t *testing.T) {
		play(t, in(t, Master, us()), []step{
			{500 * ms, with(func(p *Params) { p.AdvertInterval = 100 * ms }), "", 600 * ms},
			{600 * ms, Tick{}, "send_advert priority=100", 700 * ms},
		})
	})
	t.Run("a BACKUP keeps the interval that it learned", func(t *testing.T) {
		play(t, in(t, Backup, us()), []step{
			{0, Advert{Source: master, Priority: 150, Interval: 2 * sec}, "", 2 * down100},
			{0, with(func(p *Params) { p.AdvertInterval = 100 * ms }), "", 2 * down100},
		})
	})
	t.Run("a BACKUP that has received no advert waits for the new interval", func(t *testing.T) {
		play(t, in(t, Backup, us()), []step{
			{0, with(func(p *Params) { p.AdvertInterval = 2 * sec }), "", 2 * down100},
		})
	})
	t.Run("preempt off restarts the timer of the peer", func(t *testing.T) {
		play(t, in(t, Backup, us()), []step{
			{3 * sec, hears(50, master), "", down100},
			{3500 * ms, with(func(p *Params) { p.Preempt = false }), "", 3*sec + down100},
		})
	})
	t.Run("VRID and version stay", func(t *testing.T) {
		m := in(t, Backup, us())
		m.Step(0, with(func(p *Params) { p.VRID, p.Version = 9, 2 }))
		if got := m.Params(); got != us().withDefaults() {
			t.Errorf("params = %+v, want %+v", got, us())
		}
	})
}

// TestEveryEventInEveryState is the complete state table of the machine.
func TestEveryEventInEveryState(t *testing.T) {
	higher := us()
	higher.Priority = 200
	events := []Event{
		Startup{},
		Tick{},
		hears(150, master), hears(50, master), hears(0, master),
		Shutdown{},
		Ready{},
		NotReady{},
		Faulted{},
		Recover{},
		Lost{},
		Reconfigure{Params: higher},
		Degraded{Reason: "x"},
		PeerLost{Source: master},
		Gate{Reason: "x"},
		Gate{},
		TakeOver{},
		StepDown{},
		Reannounce{},
		Deaf{For: 10 * sec},
		Hearing{},
	}
	want := map[State][]State{
		Init:   {Backup, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init, Init},
		Backup: {Backup, Backup, Backup, Backup, Backup, Init, Backup, Backup, Fault, Backup, Backup, Backup, Fault, Backup, Backup, Backup, Master, Backup, Backup, Backup, Backup},
		Master: {Master, Master, Backup, Master, Master, Init, Master, Master, Fault, Master, Backup, Master, Fault, Master, Master, Master, Master, Backup, Master, Master, Master},
		Fault:  {Fault, Fault, Fault, Fault, Fault, Init, Fault, Fault, Fault, Backup, Fault, Fault, Fault, Fault, Fault, Fault, Fault, Fault, Fault, Fault, Fault},
	}
	for from, row := range want {
		for i, ev := range events {
			m := in(t, from, us())
			acts := m.Step(ms, ev)
			if m.State() != row[i] {
				t.Errorf("%s, %s: %s, want %s", from, ev, m.State(), row[i])
			}
			var moved *Transition
			for _, a := range acts {
				if tr, ok := a.(Transition); ok {
					moved = &tr
				}
			}
			if (moved != nil) != (from != row[i]) || moved != nil && (moved.From != from || moved.To != row[i] || moved.Reason != m.Reason()) {
				t.Errorf("%s, %s: transition %+v", from, ev, moved)
			}
			if from != row[i] && m.Since() != ms {
				t.Errorf("%s, %s: since %s, want 1ms", from, ev, m.Since())
			}
		}
	}
	if acts := NewMachine(us()).Step(0, nil); acts != nil {
		t.Errorf("nil event: %v", acts)
	}
}

func TestReasons(t *testing.T) {
	noPreempt, delayed := us(), us()
	noPreempt.Preempt = false
	delayed.PreemptDelay = 30 * sec
	tests := []struct {
		p      Params
		state  State
		events []Event
		want   string
	}{
		{us(), Init, nil, "INIT: not started"},
		{us(), Init, []Event{Faulted{Reason: "eth0 is missing"}}, "INIT: not started; fault: eth0 is missing"},
		{us(), Master, []Event{Shutdown{}}, "INIT: stopped"},
		{us(), Backup, nil, "BACKUP: started, listening for a MASTER for 3.61s"},
		{us(), Backup, []Event{hears(150, master)}, "BACKUP: higher priority 150 from 10.77.0.2"},
		{us(), Backup, []Event{hears(100, master)}, "BACKUP: equal priority 100 from 10.77.0.2, which is MASTER already"},
		{us(), Backup, []Event{hears(50, master)}, "BACKUP: lower priority 50 from 10.77.0.2, taking over when the master-down timer ends"},
		{noPreempt, Backup, []Event{hears(50, master)}, "BACKUP: lower priority 50 from 10.77.0.2, and preempt is off"},
		{delayed, Backup, []Event{hears(50, master)}, "BACKUP: lower priority 50 from 10.77.0.2, and preempt_delay 30s has not passed"},
		{us(), Backup, []Event{NotReady{Reason: "checks run"}, hears(50, master)}, "BACKUP: lower priority 50 from 10.77.0.2, and not ready to take over: checks run"},
		{us(), Backup, []Event{hears(0, master)}, "BACKUP: 10.77.0.2 resigned (priority 0)"},
		{us(), Master, nil, "MASTER: no other director heard for 3.61s"},
		{us(), Master, []Event{hears(150, master)}, "BACKUP: higher priority 150 from 10.77.0.2"},
		{us(), Master, []Event{Lost{Reason: "stalled for 9s"}}, "BACKUP: lost the virtual addresses: stalled for 9s"},
		{us(), Fault, nil, "FAULT: link down"},
		{us(), Fault, []Event{hears(150, master)}, "FAULT: link down; 10.77.0.2 serves with priority 150"},
		{us(), Fault, []Event{Recover{}}, "BACKUP: recovered, listening for a MASTER (was: link down)"},
	}
	for _, tt := range tests {
		m := in(t, tt.state, tt.p)
		for _, ev := range tt.events {
			m.Step(0, ev)
		}
		if diff := cmp.Diff(tt.want, m.Reason()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.events, diff)
		}
	}
}

// TestMasterDownIntervalInForce: as BACKUP it follows the MASTER's interval, as MASTER our own.
func TestMasterDownIntervalInForce(t *testing.T) {
	m := in(t, Backup, us())
	m.Step(0, Advert{Source: master, Priority: 150, Interval: 2 * sec})
	if got := m.MasterDownInterval(); got != 2*down100 {
		t.Errorf("BACKUP: %s, want %s", got, 2*down100)
	}
	m.Step(2*down100, Tick{})
	if got := m.MasterDownInterval(); m.State() != Master || got != down100 {
		t.Errorf("%s: %s, want %s", m.State(), got, down100)
	}
}

func TestMasterHeardLast(t *testing.T) {
	m := in(t, Backup, us())
	if a, _ := m.Master(); a.IsValid() {
		t.Errorf("before any advert: %s", a)
	}
	m.Step(0, Advert{Source: netip.MustParseAddr("::ffff:10.77.0.2"), Priority: 150, Interval: sec})
	if a, p := m.Master(); a != master || p != 150 {
		t.Errorf("Master() = %s, %d; want %s, 150", a, p, master)
	}
	m.Step(0, Shutdown{})
	if a, _ := m.Master(); a.IsValid() {
		t.Errorf("after a shutdown: %s", a)
	}
}

// TestTimeNeverRunsBackwards: an earlier now counts as the latest one.
func TestTimeNeverRunsBackwards(t *testing.T) {
	m := in(t, Backup, us())
	play(t, m, []step{
		{2 * sec, hears(150, master), "", 2*sec + down100},
		{sec, hears(150, master), "", 2*sec + down100},
	})
}

func TestParamsDefaults(t *testing.T) {
	got := NewMachine(Params{VRID: 1, Source: netip.MustParseAddr("::ffff:10.77.0.2")}).Params()
	want := Params{VRID: 1, Version: 3, Priority: 100, AdvertInterval: sec, Source: master, DownAdverts: 3}
	if got != want {
		t.Errorf("params = %+v, want %+v", got, want)
	}
	if err := want.Validate(); err != nil {
		t.Errorf("Validate: %v", err)
	}
	for _, bad := range []Params{
		{Source: master},
		{VRID: 1},
		{VRID: 1, Source: master, Version: 4},
		{VRID: 1, Source: master, PreemptDelay: -1},
		{VRID: 1, Source: master, AdvertInterval: ms},
		{VRID: 1, Source: master, Version: 2, AdvertInterval: 100 * ms},
	} {
		if bad.Validate() == nil {
			t.Errorf("Validate(%+v) = nil", bad)
		}
	}
}

func BenchmarkStepBackupHears(b *testing.B) {
	m := in(b, Backup, us())
	var ev Event = hears(150, master)
	var now time.Duration
	b.ReportAllocs()
	for b.Loop() {
		now += ms
		m.Step(now, ev)
	}
}

func BenchmarkStepMasterTick(b *testing.B) {
	m := in(b, Master, us())
	b.ReportAllocs()
	for b.Loop() {
		due, _ := m.Deadline()
		m.Step(due, Tick{})
	}
}
