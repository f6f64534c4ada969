package bfd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// link is a simulated link between two sessions. Jitter, delays and losses come from a seed that the test draws.
type link struct {
	t      *rapid.T
	now    time.Duration
	last   [2]time.Duration // no packet to this end arrives before that
	ends   [2]*Session
	flight []flying
	dead   [2]bool             // this host has crashed
	drops  func(from int) bool // of the packets that this end sends
	heard  [2]time.Duration    // when the last packet arrived at this end
	lost   [2]int              // changes from Up for which Lost is true
	random *rand.Rand
}

type flying struct {
	at time.Duration
	to int
	Packet
}

func newLink(t *rapid.T) *link {
	l := &link{t: t, drops: func(int) bool { return false }, random: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
	interval := func(name string) time.Duration {
		return time.Duration(rapid.SampledFrom([]int{3, 10, 50, 300, 1000, 2000}).Draw(t, name)) * ms
	}
	for n := range l.ends {
		l.ends[n] = NewSession(Params{
			Discriminator: uint32(10 + n), MinTx: interval("tx"), MinRx: interval("rx"),
			Multiplier: rapid.Uint8Range(2, 10).Draw(t, "multiplier"), Passive: n == 1 && rapid.Bool().Draw(t, "passive"),
		})
	}
	return l
}

func (l *link) step(end int, ev Event) {
	s := l.ends[end]
	before := s.State()
	for _, a := range s.Step(l.now, l.random.Float64(), ev) {
		switch a := a.(type) {
		case Send:
			if a.Packet.Poll && a.Packet.Final {
				l.t.Fatalf("a packet with Poll and Final")
			}
			if s.State() != Up && a.Packet.DesiredMinTx < sec {
				l.t.Fatalf("%s, and wants to send every %s", s.State(), a.Packet.DesiredMinTx)
			}
			if !l.drops(end) {
				l.last[1-end] = max(l.last[1-end], l.now+time.Duration(1+l.random.IntN(100))*time.Microsecond)
				l.flight = append(l.flight, flying{l.last[1-end], 1 - end, a.Packet})
			}
		case Change:
			if a.From != before || a.Lost() && l.now-l.heard[end] < s.DetectionTime() {
				l.t.Fatalf("at %s: %+v, was %s, heard at %s", l.now, a, before, l.heard[end])
			}
			before = a.To
			if a.Lost() {
				l.lost[end]++
			}
		}
	}
	if due, ok := s.Deadline(); ok && due <= l.now {
		l.t.Fatalf("at %s: the deadline %s is not later", l.now, due)
	}
}

// run runs the link for d.
func (l *link) run(d time.Duration) {
	for until := l.now + d; ; {
		at, end, frame := until, -1, -1
		for n, f := range l.flight {
			if f.at < at {
				at, end, frame = f.at, f.to, n
			}
		}
		for n, s := range l.ends {
			if due, ok := s.Deadline(); ok && !l.dead[n] && due < at {
				at, end, frame = due, n, -1
			}
		}
		l.now = max(l.now, at)
		if end < 0 {
			return
		}
		ev := Event(Tick{})
		if frame >= 0 {
			p, why := Parse(l.flight[frame].Append(nil))
			if why != DropNone {
				l.t.Fatalf("a packet of ours is discarded: %s", why)
			}
			l.flight = append(l.flight[:frame], l.flight[frame+1:]...)
			if l.dead[end] {
				continue
			}
			l.heard[end], ev = l.now, Received{p}
		}
		l.step(end, ev)
	}
}

func (l *link) start() {
	for n := range l.ends {
		l.step(n, Tick{})
	}
}

func (l *link) String() string {
	return fmt.Sprintf("at %s: %s and %s", l.now, l.ends[0].State(), l.ends[1].State())
}

// settle is how long two sessions take to come up on a link that works: the slow interval for each packet of the
// handshake, or the one that the other side requires, and before it the silence of one that has to notice its end.
func (l *link) settle() time.Duration {
	slowest := sec
	for _, s := range l.ends {
		slowest = max(slowest, s.p.MinTx, s.p.MinRx)
	}
	return 14 * slowest
}

// TestTwoSessionsComeUp: whatever was lost before, two sessions on a working link come up and stay up, and each knows the
// other's interval.
func TestTwoSessionsComeUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(t)
		loss := rapid.IntRange(0, 100).Draw(t, "loss in percent")
		l.drops = func(int) bool { return l.random.IntN(100) < loss }
		l.start()
		for range rapid.IntRange(0, 5).Draw(t, "turns") {
			l.run(time.Duration(rapid.IntRange(1, 3000).Draw(t, "pause")) * ms)
			end := rapid.IntRange(0, 1).Draw(t, "end")
			l.step(end, rapid.SampledFrom([]Event{Tick{}, Disable{}, Enable{}}).Draw(t, "event"))
		}
		l.drops = func(int) bool { return false }
		for n := range l.ends {
			l.step(n, Enable{})
		}
		l.run(l.settle())
		if l.ends[0].State() != Up || l.ends[1].State() != Up {
			t.Fatal(l)
		}
		lost := l.lost
		l.run(sec)
		if l.ends[0].State() != Up || l.ends[1].State() != Up || l.lost != lost {
			t.Fatalf("did not stay up: %s, lost %v", l, l.lost)
		}
		for n, s := range l.ends {
			other := l.ends[1-n]
			if s.remote.minTx != other.p.MinTx || s.remote.minRx != other.p.MinRx || s.polling {
				t.Fatalf("%s: end %d knows %+v of %+v, polling %t", l, n, s.remote, other.p, s.polling)
			}
		}
	})
}

// TestSilenceIsDetected: a crash of one side, or the loss of its packets, takes the other down within the detection time,
// and not before.
func TestSilenceIsDetected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(t)
		l.start()
		l.run(l.settle() / 3)
		l.run(time.Duration(rapid.IntRange(0, 3000).Draw(t, "later")) * ms)
		if l.ends[0].State() != Up || l.ends[1].State() != Up {
			t.Fatal(l)
		}
		dead := rapid.IntRange(0, 1).Draw(t, "dead")
		if rapid.Bool().Draw(t, "crash") {
			l.dead[dead] = true
		} else {
			l.drops = func(from int) bool { return from == dead }
		}
		within := l.ends[1-dead].DetectionTime()
		l.run(within + ms)
		if s := l.ends[1-dead]; s.State() != Down || l.lost[1-dead] != 1 || l.now-s.Since() > within+ms {
			t.Fatalf("%s, lost %v, detection time %s", l, l.lost, within)
		}
		if !l.dead[dead] { // it is told, and goes down without a loss, unless the other one is passive and silent now
			l.run(l.settle())
			if s := l.ends[dead]; s.State() == Up || l.lost[dead] != 0 && !l.ends[1-dead].p.Passive {
				t.Fatalf("%s, lost %v", l, l.lost)
			}
		}
	})
}

// TestNeverUpWithoutHearing: if one direction never works, neither side comes up.
func TestNeverUpWithoutHearing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(t)
		deaf := rapid.IntRange(0, 1).Draw(t, "deaf")
		l.drops = func(from int) bool { return from != deaf }
		l.start()
		for range 5 {
			l.run(time.Duration(rapid.IntRange(1, 5000).Draw(t, "pause")) * ms)
			if l.ends[0].EverUp() || l.ends[1].EverUp() {
				t.Fatal(l)
			}
		}
	})
}

// TestAnythingGoes: no sequence of packets and events at any time breaks an invariant.
func TestAnythingGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(t)
		l.drops = func(int) bool { return true }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			l.now += time.Duration(rapid.IntRange(-100, 3000).Draw(t, "pause")) * ms
			ev := rapid.SampledFrom([]Event{Tick{}, Disable{}, Enable{}}).Draw(t, "event")
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0, 1:
				p := genPacket(t)
				if rapid.Bool().Draw(t, "ours") {
					p.YourDiscriminator = 10
				}
				if l.ends[0].Refuses(p) == DropNone {
					l.heard[0] = max(l.now, l.ends[0].now)
				}
				ev = Received{p}
			case 2:
				ev = Reconfigure{Params{
					MinTx: time.Duration(rapid.IntRange(-1, 1<<30).Draw(t, "tx")), MinRx: time.Duration(rapid.IntRange(-1, 1<<30).Draw(t, "rx")),
					Multiplier: rapid.Uint8().Draw(t, "multiplier"), Passive: rapid.Bool().Draw(t, "passive"),
				}}
			}
			l.now = max(l.now, l.ends[0].now)
			l.step(0, ev)
		}
	})
}
