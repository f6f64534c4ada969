package election

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// inbox queues the datagrams for an actor and limits each source: a flood from one neighbour neither displaces the
// adverts of the others nor costs the actor more than one datagram per allowEvery. The newest datagrams of each source
// are kept, because they reflect its current state, and a resignation (priority 0) is displaced only by later
// resignations. Sources that do not fit into the table share one backlog, so that forged addresses cannot displace the
// sources that were there first.
type inbox struct {
	wake chan struct{} // has an element after a put or a rouse

	mu        sync.Mutex
	sources   map[netip.Addr]*backlog
	rest      backlog // of the sources that do not fit into sources
	count     uint64  // of datagrams so far
	waiting   int     // how many of them are in the backlogs
	discarded uint64
}

// backlog is the queue of one source. paid is the time up to which the datagrams taken so far use the allowance (GCRA).
type backlog struct {
	waiting []arrival // oldest first
	paid    time.Duration
	hurried time.Duration // the earliest time at which the allowance may be exceeded again
}

type arrival struct {
	number uint64
	vrrp.Datagram
}

const (
	// allowEvery is the interval at which a source may always deliver datagrams: half of the shortest advert interval
	// of version 3.
	allowEvery = 5 * time.Millisecond
	// allowAtOnce is how many datagrams of a source are kept, and may be taken as a burst after a stall.
	allowAtOnce = 8
	// hurryEvery limits how often a resignation may exceed the allowance; a router does not resign more often (see
	// vrrp.Guard).
	hurryEvery = time.Second
	// allowSources is how many sources have their own backlog; normally there are one or two.
	allowSources = 16
	// allowFor is how long a silent source keeps its entry if another source needs it.
	allowFor = 10 * time.Minute
)

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), sources: map[netip.Addr]*backlog{}}
}

// pass charges a datagram that need not wait to the allowance of its source. It returns false if it must wait: others do, or
// the allowance is used up.
func (b *inbox) pass(now time.Duration, source netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting == 0 && b.backlogOf(now, source).pay(now, false)
}

// rouse wakes the actor.
func (b *inbox) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// put adds a copy of a datagram. It never blocks.
func (b *inbox) put(now time.Duration, d vrrp.Datagram) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.backlogOf(now, d.Source)
	b.count++
	b.waiting++
	d.Payload = bytes.Clone(d.Payload)
	l.waiting = append(l.waiting, arrival{b.count, d})
	if len(l.waiting) > allowAtOnce {
		l.waiting = slices.Delete(l.waiting, l.victim(), l.victim()+1)
		b.discarded++
		b.waiting--
	}
	b.rouse()
}

// take returns, oldest first, the datagrams that are within the allowance of their source. If more are left, next is
// when the first of them may be taken; otherwise it is 0.
func (b *inbox) take(now time.Duration) (taken []vrrp.Datagram, next time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var arrivals []arrival
	from := func(l *backlog) {
		for hurry := l.hurry(now); len(l.waiting) > 0 && l.pay(now, hurry > 0); hurry-- {
			arrivals = append(arrivals, l.waiting[0])
			l.waiting = slices.Delete(l.waiting, 0, 1)
		}
		if at := l.paid - (allowAtOnce-1)*allowEvery; len(l.waiting) > 0 && (next == 0 || at < next) {
			next = at
		}
	}
	for _, l := range b.sources {
		from(l)
	}
	from(&b.rest)
	slices.SortFunc(arrivals, func(x, y arrival) int { return cmp.Compare(x.number, y.number) })
	b.waiting -= len(arrivals)
	for _, a := range arrivals {
		taken = append(taken, a.Datagram)
	}
	return taken, next
}

// overflow returns how many datagrams have been discarded since the start.
func (b *inbox) overflow() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.discarded
}

func (b *inbox) backlogOf(now time.Duration, source netip.Addr) *backlog {
	if l := b.sources[source]; l != nil {
		return l
	}
	if !b.room(now) {
		return &b.rest
	}
	l := &backlog{}
	b.sources[source] = l
	return l
}

// room reports whether one more source fits, if necessary in place of one that has been silent for longer than
// allowFor.
func (b *inbox) room(now time.Duration) bool {
	if len(b.sources) < allowSources {
		return true
	}
	for source, l := range b.sources {
		if len(l.waiting) == 0 && now-l.paid > allowFor {
			delete(b.sources, source)
			return true
		}
	}
	return false
}

// victim returns the index of the datagram to discard: the oldest that is not a resignation.
func (l *backlog) victim() int {
	return max(0, slices.IndexFunc(l.waiting, func(a arrival) bool { return !resigns(a.Payload) }))
}

// resigns reports whether a VRRP message has priority 0 (the third byte in versions 2 and 3).
func resigns(payload []byte) bool { return len(payload) > 2 && payload[2] == 0 }

// hurry returns how many datagrams are taken without waiting for the allowance, which is charged all the same: those up
// to the last resignation. Behind a burst that was taken in part, it would otherwise wait for up to allowAtOnce times
// allowEvery, and the VIPs would have no holder for so much longer. The datagrams before it must not be taken after it.
func (l *backlog) hurry(now time.Duration) int {
	for n := len(l.waiting); n > 0; n-- {
		if !resigns(l.waiting[n-1].Payload) {
			continue
		}
		if now < l.hurried {
			return 0
		}
		l.hurried = now + hurryEvery
		return n
	}
	return 0
}

// pay charges one datagram to the allowance of the source; false if the allowance is used up and must not be exceeded.
func (l *backlog) pay(now time.Duration, exceed bool) bool {
	paid := max(l.paid, now)
	if !exceed && paid-now > (allowAtOnce-1)*allowEvery {
		return false
	}
	l.paid = paid + allowEvery
	return true
}
