package syncpeers

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/syncsock"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// listener is a host that takes in what is sent, and does nothing else.
func (l *lan) listener(address string) *host {
	h := l.host(address)
	h.in, h.closed = make(chan syncsock.Datagram, 10000), make(chan struct{})
	return h
}

// notes returns those that have arrived since the last call.
func (h *host) notes() (all []*syncmsg.Note) {
	for len(h.in) > 0 {
		if n, err := syncmsg.ParseNote((<-h.in).Payload); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// TestSlowReading: while the connections are read, for ten seconds, notes are sent every second and say how old the numbers
// are, and the others are heard. A sixth of the time is spent reading, on average.
func TestSlowReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		h, other := l.host("10.77.0.2"), l.listener("10.77.0.3")
		h.slow, h.held = 10*time.Second, true
		h.table[client(1)] = true
		defer h.start(&log)()
		time.Sleep(9500 * time.Millisecond)
		early := other.notes()
		if len(early) < 9 {
			t.Errorf("%d notes in 9.5 s", len(early))
		}
		for _, n := range early {
			if !n.Uncounted || !n.Master {
				t.Errorf("before the first reading: %+v", n)
			}
		}
		time.Sleep(590500 * time.Millisecond)
		all := other.notes()
		if len(all) < 585 || len(all) > 600 {
			t.Errorf("%d notes in 590 s", len(all))
		}
		readings := map[uint32]bool{}
		for _, n := range all[2:] {
			if n.Uncounted || n.Held.Total() != 1 || n.Begun-n.Ended != 10*time.Second {
				t.Fatalf("%+v", n)
			}
			readings[n.Reading] = true
		}
		if len(readings) < 7 || len(readings) > 15 {
			t.Errorf("%d readings in 10 minutes", len(readings))
		}
		if s := h.loop.Snapshot(); s.Took < 10*time.Second || s.Took > 11*time.Second || time.Since(s.Read) > 95*time.Second || s.Failed != "" {
			t.Errorf("%+v", s)
		}
	})
}

// TestSlowPair: a standby learns what it lacks although both directors take ten seconds to read, and lacks nothing then.
func TestSlowPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		master, standby := l.host("10.77.0.2"), l.host("10.77.0.3")
		master.held, master.slow, standby.slow = true, 10*time.Second, 7*time.Second
		const count = 20000
		for n := range count {
			master.table[client(n)] = true
		}
		defer master.start(&log)()
		time.Sleep(30 * time.Second)
		defer standby.start(&log)()
		time.Sleep(20 * time.Minute)
		s, m := standby.loop.Snapshot(), master.loop.Snapshot()
		if s.Cold || s.Lacking != 0 || s.Others != count || !s.Since.IsZero() || m.Peers[standby.at].Lacking != 0 {
			t.Errorf("standby cold %t lacking %d others %d; master lacking %d", s.Cold, s.Lacking, s.Others, m.Peers[standby.at].Lacking)
		}
		if m.Again < count || m.Again > 2*count {
			t.Errorf("%d were sent", m.Again)
		}
	})
}

// TestRoleChange: what was read before a change of what the director holds is no longer told, nor what a reading finds that
// began before it. The others hear that nothing is known.
func TestRoleChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		h, other := l.host("10.77.0.2"), l.listener("10.77.0.3")
		h.table[client(1)] = true
		defer h.start(&log)()
		time.Sleep(10 * time.Second)
		h.set(func() { h.slow = 3 * time.Second })
		time.Sleep(2 * time.Second) // a reading has begun
		h.set(func() { h.held, h.turn = true, 1 })
		other.notes()
		var counted *syncmsg.Note
		for range 60 {
			time.Sleep(time.Second)
			for _, n := range other.notes() {
				switch {
				case !n.Master:
					t.Errorf("it is MASTER: %+v", n)
				case !n.Uncounted && n.Held.Total() != 1:
					t.Errorf("an old reading: %+v", n)
				case !n.Uncounted && counted == nil:
					counted = n
				}
			}
		}
		if counted == nil {
			t.Error("no reading since the change")
		}
	})
}

// TestHangingReading: a reading that takes too long is given up, one that hangs is told, and the loop goes on, and ends.
func TestHangingReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		h, other := l.host("10.77.0.2"), l.listener("10.77.0.3")
		h.slow = time.Hour
		stop := h.start(&log)
		time.Sleep(122 * time.Second)
		if s := h.loop.Snapshot(); !strings.Contains(s.Failed, "longer than 2m0s to list its connections: 0 were read") {
			t.Errorf("%+v", s)
		}
		other.notes()
		h.set(func() { h.hangs = true })
		time.Sleep(19 * time.Minute)
		if s := h.loop.Snapshot(); !strings.Contains(s.Failed, "has not answered for") {
			t.Errorf("%+v", s)
		}
		if all := other.notes(); len(all) < 1120 {
			t.Errorf("%d notes in 19 minutes", len(all))
		}
		h.set(func() { h.hangs, h.slow, h.unread = false, 0, errors.New("no table") })
		time.Sleep(2 * time.Hour)
		if s := h.loop.Snapshot(); s.Failed != "no table" {
			t.Errorf("after it has ended: %+v", s)
		}
		stop()
	})
}

// TestLockedPhases: directors that take about as long to read, whenever they begin, compare what they have; what is lost is sent
// again, and it is never unknown for so long that it is a problem.
func TestLockedPhases(t *testing.T) {
	for phase := range 10 {
		synctest.Test(t, func(t *testing.T) {
			var log logtest.Buffer
			l := &lan{}
			master, standby := l.host("10.77.0.2"), l.host("10.77.0.3")
			master.seed.Seed(uint64(phase), 1)
			standby.seed.Seed(uint64(phase), 2)
			master.held, master.slow, standby.slow = true, 900*time.Millisecond, 900*time.Millisecond
			master.table[client(1)] = true
			defer master.start(&log)()
			time.Sleep(time.Duration(phase) * 600 * time.Millisecond)
			defer standby.start(&log)()
			for range 5 {
				time.Sleep(3 * time.Minute)
				if s := standby.loop.Snapshot(); s.Cold || s.Others != 1 || s.Lacking != 0 || !s.Uncompared.IsZero() || time.Since(s.Compared) > 3*time.Minute {
					t.Errorf("phase %d: %+v", phase, s)
				}
			}
		})
	}
}
