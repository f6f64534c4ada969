package connsync

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

const (
	// Settled is the age from which the other directors are expected to have a connection: the kernel sends it within 3 s
	// (IPVS_SYNC_FLUSH_TIME and IPVS_SYNC_CHECK_PERIOD).
	Settled = 5 * time.Second
	// longLook is from when on a look can miss connections: the kernel finds its place again by counting, and one that ends
	// meanwhile shifts those behind it. A look of one page misses none.
	longLook = 50 * time.Millisecond
	// Rate is the number of connections that are sent again in a second, at most.
	Rate = 4000
	// pauseKnown is the time from the begin of one round to that of the next, in which every connection is sent at most once,
	// if the others say what they lack; pauseBlind if nobody says anything, as keepalived does not.
	pauseKnown = 5 * time.Second
	pauseBlind = time.Minute
)

// Buckets is a set of buckets.
type Buckets [syncmsg.Buckets]bool

// Any reports whether the set is not empty.
func (b *Buckets) Any() bool { return *b != Buckets{} }

// Need is what the other directors lack.
type Need struct {
	In    Buckets   // of which buckets
	Read  time.Time // the oldest begin of the readings that say so
	Blind bool      // nobody says what it lacks: everything, seldom
}

// Counts are the connections of this director: to virtual addresses that it holds, as far as they are settled, and to the
// others.
type Counts struct{ Held, Others syncmsg.Counts }

// Table remembers since when connections are there, and when they were sent again. The zero value is ready for use; it is not safe for
// concurrent use.
type Table struct {
	begun     time.Time // of the first look
	looks     uint32
	known     map[uint64]known
	past      []span // the looks of the last Settled, and the one before; oldest first
	round     time.Time
	exhausted bool      // the last look has found no more connections to send in this round
	sent      time.Time // when the connections that the last look with any has found will have been sent
}

// span is from the begin of a look to its end.
type span struct{ begun, ended time.Time }

// known is a connection, by its hash. Times are since Table.begun.
type known struct {
	first, told time.Duration
	look        uint32
	held        bool
}

const never = -1

// Look is one pass over all connections.
type Look struct {
	t      *Table
	now    time.Time
	need   Need
	limit  int
	counts Counts
	again  []lvs.Connection
}

// Look begins a pass, which finds at most limit connections to send again. The caller adds every connection, then calls End.
//
// A round begins when the others have had the time to receive what was sent in the last one, and to say so.
func (t *Table) Look(now time.Time, need Need, limit int) *Look {
	if t.known == nil {
		t.known, t.begun, t.round, t.exhausted = map[uint64]known{}, now, now, true
	}
	pause := pauseKnown
	if need.Blind {
		pause = pauseBlind
	}
	if t.exhausted && now.Sub(t.round) >= pause && (need.Blind || need.Read.After(t.sent)) {
		t.round = now
	}
	t.looks++
	return &Look{t: t, now: now, need: need, limit: limit}
}

// Add takes in a connection; held says whether this director holds its virtual address. A connection that was there at the
// first look is taken for settled.
func (l *Look) Add(c lvs.Connection, held bool) {
	hash := c.Hash()
	bucket := hash % syncmsg.Buckets
	k, before := l.t.known[hash]
	switch {
	case !before && l.t.looks == 1:
		k = known{first: -Settled, told: never}
	case !before:
		k = known{first: l.now.Sub(l.t.begun), told: never}
	case k.look == l.t.looks:
		return // the list has it twice
	}
	k.look, k.held = l.t.looks, held
	settled := l.now.Sub(l.t.begun)-k.first >= Settled
	switch {
	case !held:
		l.counts.Others[bucket]++
	case settled:
		l.counts.Held[bucket]++
		due := k.told == never || k.told < l.t.round.Sub(l.t.begun)
		if due && (l.need.Blind || l.need.In[bucket]) && len(l.again) < l.limit {
			k.told = l.now.Sub(l.t.begun)
			l.again = append(l.again, c)
		}
	}
	l.t.known[hash] = k
}

// End returns what was read until now, when the pass ends, and the connections to send again.
func (l *Look) End(now time.Time) (Reading, []lvs.Connection) {
	long := now.Sub(l.now) >= longLook
	for hash, k := range l.t.known {
		switch {
		case k.look == l.t.looks:
		case long && k.look == l.t.looks-1: // it may have been missed, and counts once more
			if !k.held {
				l.counts.Others[hash%syncmsg.Buckets]++
			}
		default:
			delete(l.t.known, hash)
		}
	}
	l.t.exhausted = len(l.again) < l.limit
	if len(l.again) > 0 {
		l.t.sent = now.Add(time.Duration(len(l.again)) * time.Second / Rate)
	}
	return Reading{Number: l.t.looks, Begun: l.now, Ended: now, Settled: l.t.settled(span{l.now, now}), Counts: l.counts}, l.again
}

// settled returns since when the connections that are settled in a look have been there: by its end they had been seen by the
// last look that began Settled before, or by the first one.
func (t *Table) settled(look span) time.Time {
	for len(t.past) > 1 && look.begun.Sub(t.past[1].begun) >= Settled {
		t.past = t.past[1:]
	}
	t.past = append(t.past, look)
	return t.past[0].ended
}
