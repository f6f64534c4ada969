package connsync

import (
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// Reading is a reading of the connection table, by this director or another one.
//
// Reading takes time, and each director reads at other moments, so that two readings differ even if each director has all
// connections. Two of them can be compared if one says what was there throughout a period, and the other one falls into it.
type Reading struct {
	Number       uint32
	Begun, Ended time.Time
	// Settled is since when all of Counts.Held have been there: they are there at any time from then to Begun.
	Settled time.Time
	Counts
}

// travel is how long the kernel may take to send a new connection to the others: it collects them for 2 s
// (IPVS_SYNC_FLUSH_TIME), and looks whether that is over once a second.
const travel = 3 * time.Second

// covers reports whether a director that reads during other has all of what r holds, if it lacks nothing.
func (r Reading) covers(other Reading) bool {
	return !other.Begun.Before(r.Settled.Add(travel)) && !other.Ended.After(r.Begun)
}

// Readings are the newest ones of a director, oldest first.
type Readings []Reading

// keep is how many readings of a director are kept: one a second must be kept until another director has said what it has
// read in the same second.
const keep = 6

// add appends a reading, unless it is the last one.
func (all *Readings) add(r Reading) {
	if n := len(*all); n > 0 && (*all)[n-1].Number == r.Number && r.Number != 0 {
		return
	}
	*all = append(*all, r)
	if len(*all) > keep {
		*all = slices.Delete(*all, 0, 1)
	}
}

// covering returns the newest reading that can be compared with another one.
func (all Readings) covering(other Reading) (Reading, bool) {
	for _, r := range slices.Backward(all) {
		if r.covers(other) {
			return r, true
		}
	}
	return Reading{}, false
}

// readingOf returns that of a note that was received just now.
func readingOf(n *syncmsg.Note, now time.Time) Reading {
	return Reading{
		Number: n.Reading, Begun: now.Add(-n.Begun), Ended: now.Add(-n.Ended), Settled: now.Add(-n.Settled),
		Counts: Counts{Held: n.Held, Others: n.Others},
	}
}
