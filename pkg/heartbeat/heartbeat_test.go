package heartbeat

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLook(t *testing.T) {
	var s Set
	a, b := s.Start("a"), s.Start("b")
	m := NewMonitor(&s)
	expect := func(want ...Idle) {
		t.Helper()
		if diff := cmp.Diff(want, m.Look(time.Second), cmp.Comparer(func(a, b *Signal) bool { return a == b })); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	expect(Idle{"a", a, 0}, Idle{"b", b, 0}) // the first Look has no earlier one to compare with
	a.Beat()
	expect(Idle{"a", a, 0}, Idle{"b", b, time.Second})
	expect(Idle{"a", a, time.Second}, Idle{"b", b, 2 * time.Second})
	b.Beat()
	c := s.Start("c")
	expect(Idle{"a", a, 2 * time.Second}, Idle{"b", b, 0}, Idle{"c", c, 0})
	a.Stop()
	a.Stop()
	c.Beat()
	expect(Idle{"b", b, time.Second}, Idle{"c", c, 0})
	if n := len(m.seen); n != 2 {
		t.Errorf("keeps %d loops, want 2", n)
	}
}

func TestNilSet(t *testing.T) {
	var s *Set
	p := s.Start("a")
	p.Beat()
	p.Stop()
	if got := NewMonitor(s).Look(time.Second); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}

// A loop that sends a heartbeat in each iteration is never idle for longer than Every; one that hangs is.
func TestALoopThatHangsIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Set
		loop := func(p *Signal, turns int) {
			for range turns {
				p.Beat()
				time.Sleep(Every)
			}
		}
		go loop(s.Start("runs"), 60)
		go loop(s.Start("hangs"), 10)
		m := NewMonitor(&s)
		for range 40 {
			time.Sleep(time.Second)
			synctest.Wait()
			idle := m.Look(time.Second)
			if idle[0].For > Every {
				t.Errorf("%+v", idle[0])
			}
		}
		if idle := m.Look(0); idle[1].For < 29*time.Second || idle[1].For > 31*time.Second {
			t.Errorf("%+v, want about 30 s", idle[1])
		}
		time.Sleep(30 * time.Second)
	})
}
