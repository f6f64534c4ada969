package connsync

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// pacer is a director without connections that reads at its pace.
type pacer struct {
	table        Table
	peers        *Peers
	takes        time.Duration
	begun, ended time.Time // the reading that is running or was last
	due          time.Time
	last         Reading
	reads        bool
}

// step begins and ends readings, and reports whether one ended.
func (d *pacer) step(now time.Time, random func() float64, master bool) (ended bool) {
	if d.reads && !now.Before(d.ended) {
		d.reads, ended = false, true
		d.last, _ = d.table.Look(d.begun, Need{}, Rate).End(d.ended)
		d.peers.Read(d.last)
		p := Pace{Took: d.takes, Others: d.peers.Slowest(now, 2*time.Minute), Master: master, Random: random()}
		d.due = d.begun.Add(p.Every())
	}
	if !d.reads && !now.Before(d.due) {
		d.reads, d.begun, d.ended = true, now, now.Add(d.takes)
	}
	return ended
}

func (d *pacer) note(now time.Time, master bool) []byte {
	n := syncmsg.Note{ID: 51, Master: master, Reading: d.last.Number, Uncounted: d.last.Number == 0}
	if !n.Uncounted {
		n.Begun, n.Ended, n.Settled = now.Sub(d.last.Begun), now.Sub(d.last.Ended), now.Sub(d.last.Settled)
	}
	return n.Append(nil)
}

// pair is a MASTER and a standby that begins later.
type pair struct {
	master, standby, after time.Duration // what readings take, and how much later
	random                 func() float64
}

// run returns the greatest age of what the standby compared, and whether that was a problem.
func (p pair) run(lasts time.Duration) (age time.Duration, problem bool) {
	start := begin.Add(p.after)
	m := pacer{peers: NewPeers(begin, 51), takes: p.master, due: begin}
	s := pacer{peers: NewPeers(start, 51), takes: p.standby, due: start}
	const tick = 25 * time.Millisecond
	for now := begin; now.Before(start.Add(lasts)); now = now.Add(tick) {
		told := m.step(now, p.random, true) || now.Sub(begin)%time.Second == 0
		if now.Before(start) {
			continue
		}
		if ended := s.step(now, p.random, false); !ended && !told {
			continue
		}
		s.peers.Hear(now, a, 0, m.note(now, true))
		m.peers.Hear(now, b, 0, s.note(now, false))
		s.peers.Compare(now)
		last := start
		if at := s.peers.Compared(); at.After(start) {
			last = at
		}
		age = max(age, now.Sub(last))
		problem = problem || !s.peers.Uncompared(now).IsZero()
	}
	return age, problem
}

// TestComparable: whatever readings take and whenever they begin, a standby can compare its own with those of the MASTER before
// that is a problem.
func TestComparable(t *testing.T) {
	takes := []time.Duration{10 * time.Millisecond, 500 * time.Millisecond, 840 * time.Millisecond, time.Second, 3 * time.Second, 30 * time.Second}
	random := rand.New(rand.NewPCG(1, 2)).Float64
	for _, master := range takes {
		for _, standby := range takes {
			for phase := range 8 {
				p := pair{master: master, standby: standby, after: time.Duration(phase) * max(master, ReadEvery/8), random: random}
				if age, problem := p.run(3*time.Minute + 60*standby + 30*master); problem {
					t.Errorf("readings take %s and %s, phase %d: the last comparison was %s old", master, standby, phase, age)
				}
			}
		}
	}
}

// TestEvery: the pause is never shorter than a second, or than four readings; without slow directors it depends on the own
// readings only.
func TestEvery(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.Map(rapid.IntRange(0, 120000), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })
		p := Pace{Took: d.Draw(t, "took"), Others: d.Draw(t, "others"), Master: rapid.Bool().Draw(t, "master"), Random: rapid.Float64Range(0, 0.999).Draw(t, "random")}
		every := p.Every()
		if most := max(ReadEvery, 8*p.Took, p.Took+travel+6*p.Others); every < max(ReadEvery, 4*p.Took) || every > most {
			t.Fatalf("%+v: %s", p, every)
		}
		if !p.Master && every > max(ReadEvery, 8*p.Took, p.Others) {
			t.Fatalf("%+v: %s", p, every)
		}
	})
}
