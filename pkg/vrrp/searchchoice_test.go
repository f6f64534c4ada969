package vrrp

import (
	"fmt"
	"strings"
	"time"
)

// A choice is one thing that may happen next in a world. Which routers or frame it concerns is in i and j.
type choice struct {
	kind choiceKind
	i, j uint8
}

type choiceKind uint8

const (
	timePasses choiceKind = iota
	timerExpires
	frameArrives
	frameIsLost
	frameArrivesTwice
	routerStarts
	routerContinues     // a hung process, which finds the adverts of the meantime on its socket
	routerContinuesDeaf // a hung machine, which has missed them
	routerRecovers
	routerServes
	routerTakesBack // an operator allows it to be MASTER again
	networkHeals
	linkWorks // that of a router that was deaf

	// The faults; each costs one of the budget.
	routerCrashes
	routerHangs
	routerStops
	routerFails    // as when its interface loses the carrier
	routerDegrades // as when its table loop hangs
	routerEmpties  // none of its real servers takes connections
	routerHandsOver
	addressesGo  // as when renewing the lease fails for too long
	peerIsBlamed // a false alarm of BFD
	pathBreaks   // from i to j
	routerIsCut  // in both directions
	routerStartsDeaf
)

// A fault is a kind that costs one of the budget.
type fault = choiceKind

// everyFault is what may happen to a director.
var everyFault = []fault{routerCrashes, routerHangs, routerStops, routerFails, routerDegrades, routerEmpties, routerHandsOver, addressesGo, peerIsBlamed, pathBreaks, routerIsCut}

var choiceNames = [...]string{
	timePasses: "time passes", timerExpires: "the timer of %s expires", frameArrives: "frame %s arrives", frameIsLost: "frame %s is lost",
	frameArrivesTwice: "frame %s arrives, and will again", routerStarts: "%s starts", routerContinues: "%s continues", routerContinuesDeaf: "%s continues, without what was sent to it",
	routerRecovers: "%s recovers", routerServes: "%s has a real server again", routerHandsOver: "%s hands over", routerTakesBack: "%s takes back", routerEmpties: "%s has no real server any more", networkHeals: "the network heals", linkWorks: "the link of %s works", routerStartsDeaf: "the director of %s starts while that link delivers nothing", routerCrashes: "%s crashes", routerHangs: "%s hangs", routerStops: "%s is stopped",
	routerFails: "%s has a fault", routerDegrades: "%s is degraded", addressesGo: "%s loses its VIPs", peerIsBlamed: "BFD tells %s that its MASTER is gone", pathBreaks: "the path from %s breaks", routerIsCut: "%s is cut off",
}

func (v *visit) String(c choice) string {
	text := choiceNames[c.kind]
	switch c.kind {
	case frameArrives, frameIsLost, frameArrivesTwice:
		f := v.w.frames[c.i]
		if f.claim {
			return fmt.Sprintf(text, fmt.Sprintf("%s->%s announcement", v.name(int(f.from)), v.name(int(f.to))))
		}
		return fmt.Sprintf(text, fmt.Sprintf("%s->%s priority %d", v.name(int(f.from)), v.name(int(f.to)), f.priority))
	case pathBreaks:
		return fmt.Sprintf(text, v.name(int(c.i))) + " to " + v.name(int(c.j))
	}
	if strings.Contains(text, "%s") {
		text = fmt.Sprintf(text, v.name(int(c.i)))
	}
	return text
}

// choices appends everything that may happen next.
func (v *visit) choices(all []choice) []choice {
	w := v.w
	wait := true // time may pass
	for i := range v.params {
		if at, ok := v.deadline(i); ok && at <= epoch {
			all = append(all, choice{kind: timerExpires, i: uint8(i)})
			wait = false
		}
	}
	for k, f := range w.frames {
		if !f.used || w.behind(k) {
			continue
		}
		at := uint8(k)
		all = append(all, choice{kind: frameArrives, i: at})
		if w.left.losses > 0 {
			all = append(all, choice{kind: frameIsLost, i: at})
		}
		if w.left.copies > 0 {
			all = append(all, choice{kind: frameArrivesTwice, i: at})
		}
		wait = wait && f.latest > epoch && !v.prompt
	}
	if _, ok := v.next(); ok && wait {
		all = append(all, choice{kind: timePasses})
	}
	return v.changes(all)
}

// behind reports whether an older frame of the same path is in flight: a path does not reorder frames.
func (w *world) behind(k int) bool {
	for _, older := range w.frames[:k] {
		if older.from == w.frames[k].from && older.to == w.frames[k].to {
			return true
		}
	}
	return false
}

// changes appends the faults and their ends.
func (v *visit) changes(all []choice) []choice {
	w := v.w
	if w.cut != [maxRouters][maxRouters]bool{} {
		all = append(all, choice{kind: networkHeals})
	}
	for i := range v.params {
		r, at := &w.routers[i], uint8(i)
		first, end := v.director(i)
		if r.deaf && r.life != ended {
			all = append(all, choice{kind: linkWorks, i: at})
		}
		if r.life == running && r.mem.Handover.Out && i == first {
			all = append(all, choice{kind: routerTakesBack, i: at})
		}
		if r.life == running && r.mem.Empty {
			all = append(all, choice{kind: routerServes, i: at})
		}
		switch {
		case r.life == running && (r.mem.Faulted || r.mem.Degraded != "") && v.condition(i) != Condition{}:
			all = append(all, choice{kind: routerRecovers, i: at})
		case i != first: // it starts and continues with the first one
		case r.life == ended:
			all = append(all, choice{kind: routerStarts, i: at})
			for k := i; k < end && v.deaf > 0 && w.left.faults > 0; k++ {
				all = append(all, choice{kind: routerStartsDeaf, i: uint8(k)})
			}
		case r.life == hung:
			all = append(all, choice{kind: routerContinues, i: at}, choice{kind: routerContinuesDeaf, i: at})
		}
	}
	if w.left.faults == 0 {
		return all
	}
	for i := range v.params {
		if w.routers[i].life != running {
			continue
		}
		for _, kind := range everyFault {
			all = v.disturb(all, kind, i)
		}
	}
	return all
}

// condition is that of a router by itself.
func (v *visit) condition(i int) Condition {
	if v.segments > 0 {
		return v.w.groups[i/v.segments].members[i%v.segments].own
	}
	m := &v.w.routers[i].mem
	return Condition{m.Faulted, m.FaultReason, m.Degraded}
}

// disturb appends the faults of one kind that a director can have now.
func (v *visit) disturb(all []choice, kind fault, i int) []choice {
	m := &v.w.routers[i].mem
	one := choice{kind: kind, i: uint8(i)}
	first, _ := v.director(i)
	switch kind {
	case routerCrashes, routerHangs, routerStops: // a whole director
		if i != first {
			return all
		}
	case routerFails, routerDegrades:
		if m.Faulted || m.Degraded != "" {
			return all
		}
	case routerEmpties:
		if m.Empty || i != first {
			return all
		}
	case routerHandsOver:
		if m.State != Master || m.Handover.Begun || i != first {
			return all
		}
	case addressesGo:
		if m.State != Master {
			return all
		}
	case peerIsBlamed:
		if m.State != Backup || m.HeardPriority == 0 {
			return all
		}
	case pathBreaks:
		for j := range v.params {
			if v.neighbours(i, j) && !v.w.cut[i][j] {
				all = append(all, choice{kind: kind, i: one.i, j: uint8(j)})
			}
		}
		return all
	}
	return append(all, one)
}

// make carries out a choice.
func (v *visit) make(c choice) {
	w, i := v.w, int(c.i)
	v.calm = v.isCalm()
	switch c.kind {
	case timePasses:
		at, _ := v.next()
		v.advance(at - epoch)
	case timerExpires:
		v.step(i, Tick{})
	case frameArrives, frameIsLost, frameArrivesTwice:
		v.frame(c)
	default:
		w.calmSince, v.calm, w.seamless, w.steadfast = epoch, false, false, false
		if c.kind >= routerCrashes {
			w.left.faults--
		}
		v.change(c)
	}
	v.checkWorld()
}

// frame is the end of a frame.
func (v *visit) frame(c choice) {
	w := v.w
	f := w.frames[c.i]
	if c.kind == frameArrivesTwice {
		w.left.copies--
	} else {
		copy(w.frames[c.i:], w.frames[c.i+1:])
		w.frames[maxFrames-1] = inFlight{}
	}
	if c.kind == frameIsLost && f.claim {
		w.left.losses-- // its VIPs stay for a second
		w.calmSince = max(w.calmSince, epoch-v.ends+oneLoss)
		return
	}
	if c.kind == frameIsLost {
		w.left.losses--
		w.calmSince = max(w.calmSince, epoch-v.ends+oneLoss)
		if f.priority == PriorityResign { // the other one waits for a whole master-down interval
			w.calmSince = epoch
		}
		return
	}
	v.deliver(f)
}

func (v *visit) change(c choice) {
	w, i := v.w, int(c.i)
	from, to := v.director(i)
	switch c.kind {
	case routerStarts:
		w.seamless = v.canReturn(i)
		w.steadfast = w.seamless && !v.params[i].Preempt
		v.start(i, -1)
	case routerStartsDeaf:
		w.seamless = v.canReturn(from)
		w.steadfast = w.seamless && !v.params[i].Preempt
		v.start(from, i)
	case linkWorks:
		w.routers[i].deaf = false
		w.seamless = v.canReturn(from)
		w.steadfast = w.seamless && !v.params[i].Preempt
		v.step(i, Hearing{})
	case routerContinues, routerContinuesDeaf:
		v.resume(i, c.kind == routerContinuesDeaf)
	case routerRecovers:
		w.seamless = v.canReturn(i)
		v.step(i, Recover{})
		v.step(i, Degraded{})
	case networkHeals:
		w.cut = [maxRouters][maxRouters]bool{}
	case routerCrashes, routerHangs:
		for r := from; r < to; r++ {
			w.routers[r].life, w.routers[r].lease = ended, epoch+v.lease
			if c.kind == routerHangs {
				w.routers[r].life = hung
			}
		}
	case routerStops:
		for r := from; r < to; r++ {
			v.step(r, Shutdown{})
		}
		for r := from; r < to; r++ {
			w.routers[r].life = ended
		}
	case routerFails:
		v.step(i, Faulted{Reason: "link"})
	case routerDegrades:
		v.step(i, Degraded{Reason: "table"})
	case routerHandsOver:
		if w.seamless = v.canHandOver(i); w.seamless {
			for r := from; r < to; r++ {
				w.routers[r].relieved = false
			}
		}
		v.step(i, HandOver{Resign: true})
	case routerTakesBack:
		w.seamless = v.canReturn(i)
		v.step(i, TakeBack{})
	case routerEmpties:
		for r := from; r < to; r++ {
			v.step(r, NotReady{Empty: true})
		}
	case routerServes:
		w.seamless = v.canReturn(i)
		for r := from; r < to; r++ {
			v.step(r, Ready{})
		}
	case addressesGo:
		w.routers[i].gone = true
		v.step(i, Lost{Reason: "lease"})
	case peerIsBlamed:
		v.step(i, PeerLost{Source: w.routers[i].mem.Heard, Silent: 30 * time.Millisecond})
	case pathBreaks:
		w.cut[i][c.j] = true
	case routerIsCut:
		for j := range v.params {
			if v.neighbours(i, j) {
				w.cut[i][j], w.cut[j][i] = true, true
			}
		}
	}
}

// start starts a director; deaf is its router whose link delivers nothing, or -1. Its start removes the VIPs that it has
// recorded.
func (v *visit) start(i, deaf int) {
	from, to := v.director(i)
	for r := from; r < to; r++ {
		m := NewMachine(v.params[r])
		m.mem.Now = epoch
		v.w.routers[r] = router{mem: m.mem, deaf: r == deaf}
	}
	if v.segments > 0 {
		v.newGroup(i / v.segments)
	}
	for r := from; r < to; r++ {
		if v.deaf > 0 {
			v.step(r, Deaf{For: v.deaf})
		}
		v.step(r, Startup{})
	}
	for r := from; r < to; r++ {
		if v.deaf > 0 && r != deaf { // a gateway answers at once
			v.step(r, Hearing{})
		}
	}
}

// resume lets a hung director continue: the adverts on its sockets come first, then its timers, then the loss of the VIPs
// whose lease has ended.
func (v *visit) resume(i int, deaf bool) {
	from, to := v.director(i)
	for i := from; i < to; i++ {
		v.w.routers[i].life = running
	}
	for i := from; i < to; i++ {
		r := &v.w.routers[i]
		queue := r.queue
		r.queue = [maxQueue]inFlight{}
		for _, f := range queue {
			if f.used && !deaf {
				v.receive(i, f)
			}
		}
	}
	for i := from; i < to; i++ {
		v.step(i, Tick{})
	}
	for i := from; i < to; i++ {
		if v.w.routers[i].gone {
			v.step(i, Lost{Reason: "lease"})
		}
	}
}
