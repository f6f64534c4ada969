package connsync

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// Fresh is for how long a note counts. One is sent each second.
const Fresh = 5 * time.Second

// Peers is what the other directors have sent, and what this one has read. Not safe for concurrent use.
type Peers struct {
	id    uint8 // 0: of every id
	since time.Time
	all   map[netip.Addr]*Peer
	own   Readings
	cold  bool
	// compared is the begin of the last reading of this director that could be compared with what the MASTERs hold; zero: none.
	compared time.Time
	// comparing is since when there has been a MASTER to compare with; zero: there is none.
	comparing time.Time
	// lacking is how many connections this director lacked then, lackingSince since when it has without a pause; zero if it
	// lacks none.
	lacking      int
	lackingSince time.Time
	strange      Strange
	// mastered is when a note of a MASTER was heard last, messaged when a message of a host that sends no notes was, such as
	// keepalived; zero: never. They outlive the peers that are dropped.
	mastered, messaged time.Time
}

// Peer is another director.
type Peer struct {
	Heard   time.Time // its last message or note
	Noted   time.Time // its last note; zero: none
	Note    syncmsg.Note
	Entries uint64 // connections that it has sent, in the kernel's format
	// Lacking is how many of this director's connections it lacks, and of other MASTERs, when that could last be compared.
	Lacking int
	Longest int // the size of its longest message, in bytes
	LongAt  time.Time

	readings Readings
}

// Strange is a message with another id.
type Strange struct {
	ID   uint8
	From netip.Addr // invalid: none was heard
}

// NewPeers returns what is known at a start. id is that of the cluster; with 0 every id is heard.
func NewPeers(now time.Time, id uint8) *Peers {
	return &Peers{id: id, since: now, all: map[netip.Addr]*Peer{}, cold: true}
}

// Hear takes in a datagram of size bytes, of which payload is the beginning. It reports whether it is of this cluster.
func (p *Peers) Hear(now time.Time, from netip.Addr, size int, payload []byte) bool {
	header, whole := syncmsg.ParseHeader(payload)
	if !whole {
		return false
	}
	if p.id != 0 && header.ID != p.id {
		p.strange = Strange{ID: header.ID, From: from}
		return false
	}
	one := p.peer(now, from)
	one.Heard = now
	if note, err := syncmsg.ParseNote(payload); err == nil {
		if one.Note.Run != note.Run || one.Note.Master != note.Master || note.Uncounted {
			one.readings = nil // of another table, or of addresses that it no longer holds
		}
		one.Noted, one.Note = now, *note
		if !note.Uncounted {
			one.readings.add(readingOf(note, now))
		}
		if note.Master {
			p.mastered = now
		}
		return true
	}
	if one.Noted.IsZero() {
		p.messaged = now
	}
	one.Entries += uint64(header.Connections)
	if size >= one.Longest || now.Sub(one.LongAt) > longFor {
		one.Longest, one.LongAt = size, now
	}
	return true
}

// peer returns that of an address, which replaces the one that has been silent for longest if there are too many.
func (p *Peers) peer(now time.Time, from netip.Addr) *Peer {
	if one := p.all[from]; one != nil {
		return one
	}
	p.forget(now)
	if len(p.all) >= maxPeers {
		delete(p.all, slices.MinFunc(slices.Collect(maps.Keys(p.all)), func(a, b netip.Addr) int {
			return cmp.Or(p.all[a].Heard.Compare(p.all[b].Heard), a.Compare(b))
		}))
	}
	one := &Peer{}
	p.all[from] = one
	return one
}

// forget drops the peers that have been silent for long.
func (p *Peers) forget(now time.Time) {
	maps.DeleteFunc(p.all, func(_ netip.Addr, one *Peer) bool { return now.Sub(one.Heard) >= forgetAfter })
}

const (
	// maxPeers limits the memory that hosts of the network can take.
	maxPeers = 64
	// forgetAfter is for how long a peer must be silent before it is dropped.
	forgetAfter = 5 * time.Minute
	// longFor is for how long the longest message of a peer counts.
	longFor = time.Minute
)

func (o *Peer) fresh(now time.Time) bool { return !o.Noted.IsZero() && now.Sub(o.Noted) < Fresh }

// Read takes in a reading of this director. Held of one that does not send its connections is empty.
func (p *Peers) Read(r Reading) { p.own.add(r) }

// Unread drops the readings of this director: they say nothing about the addresses that it holds now.
func (p *Peers) Unread() { p.own = nil }

// Need returns what the others lack of what MASTERs hold, this one included. It drops peers that have been silent for long.
func (p *Peers) Need(now time.Time) Need {
	p.forget(now)
	n := Need{Blind: true}
	for at, one := range p.all {
		if !one.fresh(now) {
			one.Lacking = 0
			continue
		}
		n.Blind = false
		theirs, own, all, can := p.others(now, at)
		if !can {
			continue
		}
		one.Lacking = 0
		for b := range all {
			d := int(all[b]+own.Held[b]) - int(theirs.Others[b])
			if d <= 0 {
				continue
			}
			one.Lacking += d
			if own.Held[b] == 0 {
				continue
			}
			n.In[b] = true
			if n.Read.IsZero() || theirs.Begun.Before(n.Read) {
				n.Read = theirs.Begun
			}
		}
	}
	return n
}

// others returns the newest reading of a peer that can be compared, with the reading of this director and the connections of
// the other MASTERs that it can be compared with.
func (p *Peers) others(now time.Time, at netip.Addr) (theirs, own Reading, masters syncmsg.Counts, can bool) {
	for _, theirs := range slices.Backward(p.all[at].readings) {
		own, can := p.own.covering(theirs)
		if !can {
			continue
		}
		if masters, _, can := p.masters(now, theirs, at); can {
			return theirs, own, masters, true
		}
	}
	return Reading{}, Reading{}, syncmsg.Counts{}, false
}

// masters returns the connections that the other MASTERs hold, without those of one, in readings that can be compared with
// another one, and whether there is a MASTER. can is false if one of them has no such reading.
func (p *Peers) masters(now time.Time, with Reading, without netip.Addr) (all syncmsg.Counts, any, can bool) {
	for at, one := range p.all {
		if at == without || !one.fresh(now) || !one.Note.Master {
			continue
		}
		r, can := one.readings.covering(with)
		if !can {
			return all, true, false
		}
		any = true
		for b, n := range r.Held {
			all[b] += n
		}
	}
	return all, any, true
}

// Compare finds out what this director lacks, if that can be known: else it is what it was.
func (p *Peers) Compare(now time.Time) {
	p.mastersHeard(now)
	for _, own := range slices.Backward(p.own) {
		if all, any, can := p.masters(now, own, netip.Addr{}); can {
			p.compare(all, own, any)
			return
		}
	}
}

func (p *Peers) compare(all syncmsg.Counts, own Reading, any bool) {
	p.lacking = 0
	for b := range all {
		p.lacking += max(int(all[b])-int(own.Others[b]), 0)
	}
	if any {
		p.compared = own.Begun
	}
	switch {
	case p.lacking == 0:
		p.lackingSince = time.Time{}
	case p.lackingSince.IsZero():
		p.lackingSince = own.Begun
	}
	if any && p.lacking == 0 && own.Begun.Sub(p.since) >= Settled {
		p.cold = false
	}
}

// Compared returns the begin of the last reading of this director that could be compared; zero: none.
func (p *Peers) Compared() time.Time { return p.compared }

// Unlearning says that this director runs nothing that learns connections: it lacks none, and does not wait for any.
func (p *Peers) Unlearning() {
	p.lacking, p.lackingSince, p.comparing, p.cold = 0, time.Time{}, time.Time{}, false
}

// Cold reports whether this director has not yet had, at one moment since its start, every connection of the MASTERs. It is
// cold as long as no MASTER says what it has, and until connections that are older than its start are settled.
func (p *Peers) Cold() bool { return p.cold }

// Lacking returns how many of the MASTERs' connections this director lacked at Compared, and since when it has lacked any.
func (p *Peers) Lacking() (int, time.Time) { return p.lacking, p.lackingSince }

// Strange returns the last message with another id.
func (p *Peers) Strange() Strange { return p.strange }

// All returns copies of what is known of each peer.
func (p *Peers) All() map[netip.Addr]Peer {
	all := make(map[netip.Addr]Peer, len(p.all))
	for at, one := range p.all {
		all[at] = *one
	}
	return all
}

// Times after which silence is a problem. Notes come every second; a MASTER that sends none, such as keepalived, is silent
// while its connections are quiet, so that only one that was never heard at all counts.
const (
	silentKnown = 10 * time.Second
	silentNever = 30 * time.Second
)

// Silent returns since when nothing was heard from a MASTER although it should have been, while there is one; zero if all is
// well. What is heard from directors that are BACKUP does not count: it says nothing about the way from the MASTER.
func (p *Peers) Silent(now time.Time) time.Time {
	last, limit := p.mastered, silentKnown
	switch {
	case p.messaged.After(p.mastered):
		return time.Time{}
	case p.mastered.IsZero():
		last = p.since
		if !p.strange.From.IsValid() {
			limit = silentNever
		}
	}
	if now.Sub(last) >= limit {
		return last
	}
	return time.Time{}
}

// TooLong returns the peer with the longest message of the last minute, if that is longer than limit.
func (p *Peers) TooLong(now time.Time, limit int) (from netip.Addr, size int) {
	for _, at := range slices.SortedFunc(maps.Keys(p.all), netip.Addr.Compare) {
		if one := p.all[at]; one.Longest > max(limit, size) && now.Sub(one.LongAt) <= longFor {
			from, size = at, one.Longest
		}
	}
	return from, size
}
