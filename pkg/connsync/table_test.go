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
	l := t.Look(begin.Add(after), need)
	for n := from; n < to; n++ {
		l.Add(number(n), held)
		l.Add(number(n), held) // the kernel's list may have it twice
	}
	return l.End()
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

// TestRounds: in one round each connection is sent once, at most Limit at a time. The next round begins five seconds after
// the begin of the last one, or a minute if nobody says what it lacks.
func TestRounds(t *testing.T) {
	for _, c := range []struct {
		name string
		need Need
		want map[int]int // by second
	}{
		{"what is lacking", everything(), map[int]int{0: Limit, 1: Limit, 2: 500, 3: 0, 4: 0, 5: Limit, 6: Limit, 7: 500, 9: 0, 10: Limit}},
		{"nobody says anything", Need{Blind: true}, map[int]int{0: Limit, 1: Limit, 2: 500, 3: 0, 30: 0, 59: 0, 60: Limit, 61: Limit, 62: 500, 63: 0}},
		{"nothing is lacking", Need{}, map[int]int{0: 0, 1: 0, 60: 0}},
	} {
		var table Table
		for _, s := range slices.Sorted(maps.Keys(c.want)) {
			_, again := pass(&table, time.Duration(s)*time.Second, c.need, true, 0, 2*Limit+500)
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
