package vrrp

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	histories      = flag.Int("histories", 1000, "how many random histories TestHistories runs")
	firstOfHistory = flag.Int("histories.first", 0, "the first of them, to repeat one that failed")
)

// driftPercent is how much faster or slower than ours the clock of a director may run.
const driftPercent = 1

// history is a random history of two to five directors on one segment, whose clocks drift. All of it follows from its
// number.
type history struct {
	*lan
	random *rand.Rand
	cut    map[[2]*node]bool
	loss   int // percent
	queue  map[*node][]Event
	leases map[*node]time.Duration // of hung directors, when they end
	lease  time.Duration
	all    []Params
}

func newHistory(number int) *history {
	h := &history{
		lan: newLAN(), random: rand.New(rand.NewPCG(uint64(number), 1)), cut: map[[2]*node]bool{}, queue: map[*node][]Event{},
		leases: map[*node]time.Duration{},
	}
	version, interval := uint8(3), sec
	switch h.random.IntN(4) {
	case 0:
		version = 2
	case 1:
		interval = time.Duration(1+h.random.IntN(40)) * 5 * centisecond
	}
	preempts := h.random.IntN(3) // all, none, some
	for i := range 2 + h.random.IntN(4) {
		p := Params{
			VRID: 51, Version: version, Priority: pick(h.random, []uint8{1, 50, 100, 100, 150, 200, 254}), AdvertInterval: interval,
			Preempt: preempts == 0 || preempts == 2 && h.random.IntN(2) == 0, Source: sourceOf(i),
		}
		n := h.add(fmt.Sprintf("n%d", i), p)
		n.rate = 1 + driftPercent*(2*h.random.Float64()-1)/100
		h.all = append(h.all, p)
		h.lease = max(h.lease, (MasterDownInterval(version, p.Priority, interval, downAdverts)+2*sec-1)/sec*sec)
	}
	h.delay = func(_, _ *node) time.Duration { return time.Duration(10+h.random.IntN(5000)) * time.Microsecond }
	h.drops = func(from, to *node) bool { return h.cut[[2]*node{from, to}] || h.random.IntN(100) < h.loss }
	h.twice = func(_, _ *node) bool { return h.loss > 0 && h.random.IntN(20) == 0 }
	h.receives = func(to *node, ev Event) bool {
		if _, hung := h.leases[to]; hung {
			h.queue[to] = append(h.queue[to], ev)
			return false
		}
		return true
	}
	return h
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// play plays the history and returns what is wrong, or "".
func (h *history) play() string {
	for range 1 + h.random.IntN(3) {
		h.loss = h.random.IntN(3) * 20
		for range 1 + h.random.IntN(10) {
			h.trouble()
			h.run(h.now + time.Duration(1+h.random.IntN(5000))*ms)
			if wrong := h.wrong(); wrong != "" {
				return wrong
			}
		}
		if wrong := h.peace(); wrong != "" {
			return wrong
		}
	}
	return ""
}

// trouble lets one thing happen to one director.
func (h *history) trouble() {
	n := pick(h.random, h.nodes)
	_, hung := h.leases[n]
	switch kind := h.random.IntN(10); {
	case n.dead:
		h.restart(n)
	case hung:
		h.resume(n, h.random.IntN(2) == 0)
	case kind == 0:
		n.dead = true
	case kind == 1:
		h.leases[n], n.hung = h.now+h.lease, true
	case kind == 2: // one-way
		h.cut[[2]*node{n, pick(h.random, h.nodes)}] = true
	case kind == 3:
		h.isolate(n)
	case kind == 4:
		h.heal()
	case kind == 5 && n.m.mem.Heard.IsValid():
		h.send(n, PeerLost{Source: n.m.mem.Heard, Silent: 30 * ms})
	default:
		h.send(n, pick(h.random, historyEvents))
	}
}

var historyEvents = []Event{
	Startup{}, Shutdown{}, Ready{}, NotReady{Reason: "checks"}, NotReady{Reason: "pool", Empty: true}, Faulted{Reason: "link"}, Recover{}, Degraded{Reason: "table"}, Degraded{}, Gate{Reason: "gateway"}, Gate{}, HandOver{Reason: "an operator"}, HandOver{Reason: "a stop", Resign: true}, TakeBack{},
}

// restart starts a director that has crashed; its start removes the VIPs that it has recorded.
func (h *history) restart(n *node) {
	n.dead, n.hung, n.holds = false, false, false
	delete(h.leases, n)
	delete(h.queue, n)
	n.m = NewMachine(n.m.Params())
	n.trace = NewTrace(n.m, 1<<20)
	if h.random.IntN(3) == 0 { // its link delivers nothing yet
		h.isolate(n)
		h.send(n, Deaf{For: time.Duration(1+h.random.IntN(15)) * sec})
	}
	h.send(n, Startup{})
}

// isolate cuts a director off in both directions.
func (h *history) isolate(n *node) {
	for _, to := range h.nodes {
		h.cut[[2]*node{n, to}], h.cut[[2]*node{to, n}] = true, true
	}
}

// heal restores all paths. Those that run hear a gateway.
func (h *history) heal() {
	clear(h.cut)
	for _, n := range h.nodes {
		if !n.hung {
			h.send(n, Hearing{})
		}
	}
}

// resume lets a hung director continue: what is queued on its socket comes first, unless the whole machine has stopped,
// then its timers, then the end of its lease.
func (h *history) resume(n *node, deaf bool) {
	gone := n.holds && h.now > h.leases[n]
	queue := h.queue[n]
	delete(h.leases, n)
	delete(h.queue, n)
	n.hung = false
	for _, ev := range queue {
		if !deaf {
			h.send(n, ev)
		}
	}
	h.send(n, Tick{})
	if gone && n.holds {
		h.send(n, Lost{Reason: "lease"})
	}
}

// peace ends all trouble, and checks that there is one MASTER in time, and then always.
func (h *history) peace() string {
	h.loss = 0
	var worst time.Duration
	for _, n := range h.nodes {
		if n.dead {
			h.restart(n)
		}
		if n.hung {
			h.resume(n, false)
		}
		for _, ev := range []Event{Startup{}, TakeBack{}, Recover{}, Degraded{}, Ready{}, Gate{}} {
			h.send(n, ev)
		}
	}
	h.heal()
	for _, n := range h.nodes {
		p := n.m.Params()
		worst = max(worst, MasterDownInterval(p.Version, p.Priority, p.AdvertInterval, downAdverts)+p.AdvertInterval)
	}
	worst += worst*driftPercent/100 + 20*ms
	h.run(h.now + worst)
	if masters := h.masters(); len(masters) != 1 {
		return fmt.Sprintf("%d MASTERs %s after the end of all trouble", len(masters), worst)
	}
	h.run(holdOffEnd(h.lan) + worst + worst)
	one := h.masters()
	h.run(h.now + 3*worst)
	if last := h.masters(); len(one) != 1 || len(last) != 1 || one[0] != last[0] {
		return fmt.Sprintf("%d MASTERs after the end of all trouble, later %d", len(one), len(last))
	}
	return h.wrong()
}

// TestHistories: whatever has happened to two to five directors whose clocks drift by 1 %, there is one MASTER a
// master-down interval and an advert after it has ended. `-histories.first=N -histories=1` repeats one.
func TestHistories(t *testing.T) {
	for number := *firstOfHistory; number < *firstOfHistory+*histories; number++ {
		h := newHistory(number)
		if wrong := h.play(); wrong != "" {
			t.Fatalf("history %d, at %s: %s\n%s", number, h.now, wrong, h.log.String())
		}
	}
}
