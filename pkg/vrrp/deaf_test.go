package vrrp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestDeaf: a director that hears nothing after its start becomes MASTER only when the wait is over; when it hears something, it
// listens for a MASTER anew.
func TestDeaf(t *testing.T) {
	const deaf = 10 * sec
	start := func(p Params) *Machine {
		m := NewMachine(p)
		m.Step(0, Deaf{For: deaf})
		m.Step(0, Startup{})
		return m
	}
	owner := us()
	owner.Priority = PriorityOwner
	down := MasterDownInterval(us().Version, us().Priority, us().AdvertInterval, 3)
	for _, c := range []struct {
		name   string
		params Params
		at     time.Duration
		event  Event
		takes  time.Duration // when it becomes MASTER
	}{
		{"nothing is heard", us(), deaf - 1, Tick{}, deaf},
		{"another machine is heard at once", us(), 0, Hearing{}, down},
		{"another machine is heard later", us(), 5 * sec, Hearing{}, 5*sec + down},
		{"another machine is heard when the wait is nearly over", us(), deaf - 1, Hearing{}, deaf - 1 + down},
		{"a MASTER is heard and is silent then", us(), sec, hears(150, master), sec + down},
		{"a MASTER of lower priority is heard", us(), sec, hears(50, master), sec + down},
		{"a router that is refused is heard", us(), sec, Evidence{Source: master, Priority: 150, Why: DropVersion, Version: 2}, sec + down},
		{"an address owner hears nothing", owner, sec, Tick{}, deaf},
		{"an address owner hears another machine", owner, sec, Hearing{}, sec},
	} {
		m := start(c.params)
		m.Step(c.at, c.event)
		took := time.Duration(-1)
		for at := c.at; at <= 30*sec && took < 0; at += ms {
			if m.Step(at, Tick{}); m.State() == Master {
				took = at
			}
		}
		if took < c.takes || took >= c.takes+ms {
			t.Errorf("%s: MASTER at %s, want %s", c.name, took, c.takes)
		}
	}

	m := start(us())
	if got, for5 := m.Reason(), deafFor(m, 5*sec); got != "BACKUP: started, listening for a MASTER for 3.61s; no other machine has been heard on the link yet, which deaf_delay waits for" || for5 != 5*sec {
		t.Errorf("%s, deaf for %s", got, for5)
	}
	m.Step(deaf, Tick{})
	if got, for12 := m.Reason(), deafFor(m, 12*sec); got != "MASTER: no other director heard for 10s" || for12 != 12*sec {
		t.Errorf("%s, deaf for %s", got, for12)
	}
	short := start(us())
	short.Step(5*sec, Deaf{For: sec}) // deaf_delay has become shorter
	if got := deafFor(short, 5*sec); got != 5*sec || short.State() != Backup {
		t.Errorf("%s, deaf for %s", short.Reason(), got)
	}
	if short.Step(6*sec, Tick{}); short.State() != Master {
		t.Error(short.Reason())
	}
	if m.Step(13*sec, Hearing{}); m.State() != Master || deafFor(m, 13*sec) != 0 {
		t.Errorf("%s, deaf for %s", m.State(), deafFor(m, 13*sec))
	}
}

// TestDeafNeverTakes: whatever happens, a director that has heard nothing is not MASTER before the end of the wait, and without a
// fault it is MASTER a master-down interval after that at the latest.
func TestDeafNeverTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deaf := time.Duration(rapid.IntRange(1, 20000).Draw(t, "deaf")) * ms
		m := NewMachine(us())
		m.Step(0, Deaf{For: deaf})
		m.Step(0, Startup{})
		now := time.Duration(0)
		events := []Event{Tick{}, Ready{}, NotReady{Reason: "checks"}, Faulted{Reason: "link"}, Recover{}, Lost{Reason: "lease"}, Gate{Reason: "gateway"}, Gate{}, PeerLost{Source: master}, Degraded{Reason: "table"}, Degraded{}, Startup{}, Reconfigure{Params: us()}}
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			now += time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause")) * ms
			if m.Step(now, rapid.SampledFrom(events).Draw(t, "event")); m.State() == Master && now < deaf {
				t.Fatalf("MASTER at %s, deaf for %s", now, deaf)
			}
		}
		for _, ev := range []Event{Recover{}, Degraded{}, Gate{}, Ready{}} {
			m.Step(now, ev)
		}
		end := max(now, deaf) + 2*MasterDownInterval(us().Version, us().Priority, us().AdvertInterval, 3) + sec
		for ; now <= end; now += 10 * ms {
			m.Step(now, Tick{})
		}
		if m.State() != Master {
			t.Fatalf("%s at %s, deaf for %s", m.Reason(), now, deaf)
		}
	})
}

func deafFor(m *Machine, now time.Duration) time.Duration {
	since, _ := m.DeafFor(now)
	return since
}
