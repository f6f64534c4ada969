package connsync

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

var begin = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// number is the nth connection.
func number(n int) lvs.Connection {
	return lvs.Connection{
		Protocol: "tcp", Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 16), byte(n >> 8)}), uint16(n)),
		Virtual: netip.MustParseAddrPort("10.77.0.100:3306"), Server: netip.MustParseAddrPort("10.77.0.11:3306"),
	}
}

// everything is a need in all buckets.
func everything() (n Need) {
	for b := range n.In {
		n.In[b] = true
	}
	return n
}

// pass looks at the connections from one number to before another.
func pass(t *Table, after time.Duration, need Need, held bool, from, to int) (Counts, []lvs.Connection) {
	need.Read = begin.Add(after)
	l := t.Look(begin.Add(after), need, Rate)
	for n := from; n < to; n++ {
		l.Add(number(n), held)
		l.Add(number(n), held) // the kernel's list may have it twice
	}
	r, again := l.End(begin.Add(after))
	return r.Counts, again
}

// TestSettled: what is there at the first look counts at once, what comes later after five seconds, and what has gone no longer.
// Connections that are learned count at once.
func TestSettled(t *testing.T) {
	var table Table
	for _, s := range []struct {
		after      time.Duration
		held       bool
		from, to   int
		mine, rest int
	}{
		{0, true, 0, 10, 10, 0},
		{time.Second, true, 0, 12, 10, 0},
		{5 * time.Second, true, 0, 12, 10, 0},
		{6 * time.Second, true, 0, 12, 12, 0},
		{7 * time.Second, true, 3, 12, 9, 0},
		{8 * time.Second, true, 0, 12, 9, 0}, // others, on the same ports
		{9 * time.Second, false, 0, 13, 0, 13},
		{14 * time.Second, true, 0, 13, 13, 0},
	} {
		c, _ := pass(&table, s.after, Need{}, s.held, s.from, s.to)
		if c.Held.Total() != s.mine || c.Others.Total() != s.rest {
			t.Errorf("after %s: %d and %d, want %d and %d", s.after, c.Held.Total(), c.Others.Total(), s.mine, s.rest)
		}
	}
}

// TestRounds: in one round each connection is sent once, at most as many as allowed at a time. The next round begins five seconds after
// the begin of the last one, or a minute if nobody says what it lacks.
func TestRounds(t *testing.T) {
	for _, c := range []struct {
		name string
		need Need
		want map[int]int // by second
	}{
		{"what is lacking", everything(), map[int]int{0: Rate, 1: Rate, 2: 500, 3: 0, 4: 0, 5: Rate, 6: Rate, 7: 500, 9: 0, 10: Rate}},
		{"nobody says anything", Need{Blind: true}, map[int]int{0: Rate, 1: Rate, 2: 500, 3: 0, 30: 0, 59: 0, 60: Rate, 61: Rate, 62: 500, 63: 0}},
		{"nothing is lacking", Need{}, map[int]int{0: 0, 1: 0, 60: 0}},
	} {
		var table Table
		for _, s := range slices.Sorted(maps.Keys(c.want)) {
			_, again := pass(&table, time.Duration(s)*time.Second, c.need, true, 0, 2*Rate+500)
			if want := c.want[s]; len(again) != want {
				t.Errorf("%s: after %d s %d connections, want %d", c.name, s, len(again), want)
			}
		}
	}
}

// TestOnlyWhatIsLackingAndHeld: connections of other buckets, of virtual addresses of others, and young ones are not sent.
func TestOnlyWhatIsLackingAndHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table
		var need Need
		for _, b := range rapid.SliceOf(rapid.IntRange(0, syncmsg.Buckets-1)).Draw(t, "buckets") {
			need.In[b] = true
		}
		held := rapid.Bool().Draw(t, "held")
		pass(&table, 0, Need{}, held, 0, 50)
		sent := map[uint64]bool{}
		for s := range 6 {
			_, again := pass(&table, time.Duration(1+s)*time.Second, need, held, 0, 100)
			for _, c := range again {
				if !held || !need.In[c.Hash()%syncmsg.Buckets] || s < 5 && c.Client.Port() >= 50 {
					t.Fatalf("second %d: %v", s, c)
				}
				sent[c.Hash()] = true
			}
		}
		for n := range 50 {
			if h := number(n).Hash(); held && need.In[h%syncmsg.Buckets] && !sent[h] {
				t.Fatalf("%v was not sent", number(n))
			}
		}
	})
}

// TestNoRoundOnOldNews: what was sent is not sent again before the others have read their connections anew.
func TestNoRoundOnOldNews(t *testing.T) {
	var table Table
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	for _, s := range []struct{ now, read, want int }{{0, -1, 8000}, {10, 1, 0}, {60, 2, 0}, {70, 3, 8000}} {
		need := everything()
		need.Read = at(s.read)
		l := table.Look(at(s.now), need, 3*Rate)
		for n := range 2 * Rate {
			l.Add(number(n), true)
		}
		if _, again := l.End(at(s.now)); len(again) != s.want {
			t.Errorf("after %d s, of a reading after %d s: %d, want %d", s.now, s.read, len(again), s.want)
		}
	}
}

// TestSettledSince: the connections that count have been there since the end of the last look that began five seconds before.
func TestSettledSince(t *testing.T) {
	var table Table
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	for _, s := range []struct{ begun, ended, settled int }{
		{0, 100, 100}, {1000, 1100, 100}, {4000, 4100, 100}, {5000, 5100, 100}, {6000, 6100, 1100}, {20000, 29000, 6100}, {50000, 59000, 29000},
	} {
		r, _ := table.Look(at(s.begun), Need{}, Rate).End(at(s.ended))
		if !r.Begun.Equal(at(s.begun)) || !r.Ended.Equal(at(s.ended)) || !r.Settled.Equal(at(s.settled)) {
			t.Errorf("%+v: %+v", s, r)
		}
	}
}

// TestMissed: a connection that a long look misses is taken for there once more, but not for one that this director certainly
// holds; when it is seen again it has not become young. A short look misses none.
func TestMissed(t *testing.T) {
	for _, took := range []time.Duration{longLook, longLook - 1} {
		for _, held := range []bool{false, true} {
			var table Table
			look := func(n int, there bool) int {
				at := begin.Add(time.Duration(n) * time.Second)
				l := table.Look(at, Need{}, Rate)
				if there {
					l.Add(number(1), held)
				}
				r, _ := l.End(at.Add(took))
				return r.Held.Total() + r.Others.Total()
			}
			long := took == longLook
			for n, s := range []struct {
				there bool
				count int
			}{
				{true, 1},
				{false, map[bool]int{true: 1}[long && !held]},
				{true, map[bool]int{true: 1}[long || !held]}, // of a short look it is a new one
				{false, map[bool]int{true: 1}[long && !held]},
				{false, 0},
			} {
				if got := look(n, s.there); got != s.count {
					t.Errorf("took %s, held %t, look %d: %d, want %d", took, held, n, got, s.count)
				}
			}
		}
	}
}

// TestNothingIsLackingByMistake: a standby whose kernel learns every connection within the time that kernels take never lacks
// any, however long both directors take to read theirs, whenever they do, and however many connections begin and end.
func TestNothingIsLackingByMistake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const seconds = 200
		life := make([]struct{ from, to, learned int }, rapid.IntRange(1, 60).Draw(t, "connections"))
		for n := range life {
			from := rapid.IntRange(-20, seconds).Draw(t, "from")
			life[n].from, life[n].to = from, from+rapid.IntRange(0, seconds).Draw(t, "for")
			life[n].learned = from + rapid.IntRange(0, 2).Draw(t, "learned after")
		}
		start := rapid.IntRange(5, 40).Draw(t, "the first reading of the MASTER")
		for n := range life { // those that are there at the first reading are taken for settled
			if life[n].from > start-3 && life[n].from <= start+10 {
				life[n].from, life[n].learned = start-5, start-5
			}
		}
		at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
		read := func(table *Table, from, to int, held bool) Reading {
			l := table.Look(at(from), Need{}, Rate)
			for n, c := range life { // a connection is listed at any moment of the reading
				listed := from
				if to > from {
					listed = rapid.IntRange(from, to).Draw(t, "listed")
				}
				if begun := map[bool]int{true: c.from, false: c.learned}[held]; begun <= listed && listed < c.to {
					l.Add(number(n), held)
				}
			}
			r, _ := l.End(at(to))
			return r
		}
		var masters, standbys Table
		p := NewPeers(at(-10), 51)
		mine, theirs := rapid.IntRange(0, 30).Draw(t, "its first reading"), start
		var last Reading
		for s := range seconds {
			if s == mine {
				end := s + rapid.IntRange(0, 10).Draw(t, "takes")
				p.Read(read(&standbys, s, end, false))
				mine = end + rapid.IntRange(1, 60).Draw(t, "pause")
			}
			if s == theirs {
				end := s + rapid.IntRange(0, 10).Draw(t, "the MASTER's takes")
				last = read(&masters, s, end, true)
				theirs = end + rapid.IntRange(1, 60).Draw(t, "the MASTER's pause")
			}
			if last.Number > 0 && s >= int(last.Ended.Sub(begin)/time.Second) {
				n := syncmsg.Note{
					ID: 51, Master: true, Reading: last.Number, Held: last.Held, Others: last.Others,
					Begun: at(s).Sub(last.Begun), Ended: at(s).Sub(last.Ended), Settled: at(s).Sub(last.Settled),
				}
				p.hears(at(s).Sub(begin), a, n.Append(nil))
			}
			p.Compare(at(s))
			if n, _ := p.Lacking(); n > 0 {
				t.Fatalf("after %d s it lacks %d", s, n)
			}
		}
	})
}
