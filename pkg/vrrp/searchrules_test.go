package vrrp

import "time"

// oneLoss is for how long two directors may hold the VIPs because one advert was lost.
const oneLoss = time.Second + frameDelay

// isCalm reports whether the election must have ended.
func (v *visit) isCalm() bool {
	w := v.w
	for i := range v.params {
		if w.routers[i].life == hung {
			return false
		}
		for j := range v.params {
			if w.cut[i][j] {
				return false
			}
		}
	}
	return epoch-w.calmSince >= v.ends
}

// checkRouter checks a router after a step of its director: it holds the VIPs if, and only if, it is MASTER, or keeps them
// until its successor has announced them.
func (v *visit) checkRouter(i int, m *Machine) {
	if r := &v.w.routers[i]; (m.State() == Master || m.Retains()) != r.holds {
		v.fail("%s is %s, VIPs held: %t", v.name(i), m.State(), r.holds)
	}
}

// checkDeadline checks that a router that has made a step waits for something in the future.
func (v *visit) checkDeadline(i int, m *Machine) {
	if at, ok := m.Deadline(); ok && at <= epoch {
		v.fail("the deadline of %s is %s ago", v.name(i), epoch-at)
	}
}

// checkRelease: VIPs are not released before another director has announced them, or a second after its advert.
func (v *visit) checkRelease(i int) {
	if v.w.seamless && !v.w.routers[i].relieved && (v.retainUntil == 0 || v.retainUntil > epoch) {
		v.fail("%s releases VIPs that nobody else has announced", v.name(i))
	}
}

// checkTransition: after the end of the election nothing changes, except that a director that had lost its VIPs preempts.
func (v *visit) checkTransition(i int, t Transition) {
	if t.From == Master && v.w.steadfast {
		v.fail("%s goes from %s to %s, because of a director that has started and does not preempt", v.name(i), t.From, t.To)
	}
	if hears := v.w.routers[i].mem.Hears; t.To == Master && v.w.routers[i].deaf && hears.Until > epoch {
		v.fail("%s becomes MASTER, although it has heard nothing and waits for that for another %s", v.name(i), hears.Until-epoch)
	}
	if t.To == Master && v.deafDirector(i) { // the wait is over
		v.w.seamless, v.w.steadfast = false, false
		v.w.calmSince, v.calm = epoch, false
	}
	if !v.calm {
		return
	}
	for k := range v.params {
		if v.w.routers[k].mem.Losses > 0 {
			return
		}
	}
	v.fail("%s goes from %s to %s, although nothing has happened for %s", v.name(i), t.From, t.To, epoch-v.w.calmSince)
}

// checkWorld counts the directors that hold the VIPs.
func (v *visit) checkWorld() {
	w := v.w
	least, most := v.holders()
	switch {
	case most < 2:
		w.two = false
	case !w.two:
		w.two, w.together = true, epoch
	}
	for i := range v.params {
		if r := &w.routers[i]; r.life == running && r.gone {
			v.fail("%s runs, and does not know that its lease has ended", v.name(i))
		}
	}
	if w.seamless && least == 0 {
		v.fail("nobody holds the VIPs during a handover, or while they return")
	}
	if v.isCalm() && least == 0 && v.eligible() {
		v.fail("nobody holds the VIPs %s after the last disturbance", epoch-w.calmSince)
	}
}

// deafDirector reports whether a link of a director delivers nothing.
func (v *visit) deafDirector(i int) bool {
	for r, to := v.director(i); r < to; r++ {
		if v.w.routers[r].deaf {
			return true
		}
	}
	return false
}

// canHandOver reports whether a handover of director from must interrupt nothing: every other one is there, hears it, and can
// take over.
func (v *visit) canHandOver(from int) bool {
	masters := 0
	for _, f := range v.w.frames { // of another MASTER
		if first, _ := v.director(int(f.from)); f.used && first != from {
			return false
		}
	}
	for i := range v.params {
		r := &v.w.routers[i]
		first, _ := v.director(i)
		if r.life != running || r.deaf || r.mem.Faulted || r.mem.Degraded != "" || r.mem.Handover.Out || r.mem.Handover.Retains {
			return false
		}
		if first == from {
			if r.mem.State == Master {
				masters++
			}
			continue
		}
		if r.mem.State != Backup || r.mem.NotReady || r.mem.Losses > 0 || !r.mem.Heard.IsValid() || r.mem.HeardPriority == PriorityResign {
			return false
		}
	}
	return masters == max(v.segments, 1) && v.w.cut == [maxRouters][maxRouters]bool{}
}

// canReturn reports whether the return of director who must interrupt nothing: another one is MASTER, alone and undisturbed, and each
// that runs hears it.
func (v *visit) canReturn(who int) bool {
	for i := range v.params {
		r := &v.w.routers[i]
		if first, _ := v.director(i); first == who {
			if r.holds || r.mem.Empty {
				return false
			}
			continue
		}
		if r.life == ended && !r.holds {
			continue
		}
		if r.life != running || r.deaf || r.mem.Faulted || r.mem.Degraded != "" || r.mem.Empty || r.mem.Handover.Begun || r.mem.Handover.Retains || r.mem.Losses > 0 {
			return false
		}
		if r.mem.State == Backup && (!r.mem.Heard.IsValid() || r.mem.HeardPriority == PriorityResign) {
			return false
		}
	}
	least, most := v.holders()
	return least == 1 && most == 1 && v.w.frames == [maxFrames]inFlight{} && v.w.cut == [maxRouters][maxRouters]bool{}
}

// checkTime checks what must not last.
func (v *visit) checkTime() {
	if _, most := v.holders(); v.isCalm() && most > 1 && epoch-v.w.together > frameDelay {
		v.fail("%d directors hold the VIPs for %s, %s after the last disturbance", most, epoch-v.w.together, epoch-v.w.calmSince)
	}
}

// holders returns how many running directors hold the VIPs of a segment: of that with the fewest, and with the most. One whose
// link delivers nothing counts for neither.
func (v *visit) holders() (least, most int) {
	segments := max(v.segments, 1)
	least = len(v.params)
	for segment := range segments {
		n := 0
		for i := segment; i < len(v.params); i += segments {
			if r := &v.w.routers[i]; r.life == running && r.holds && !r.deaf {
				n++
			}
		}
		least, most = min(least, n), max(most, n)
	}
	return least, most
}

// eligible reports whether a director runs that can be MASTER: all its links work.
func (v *visit) eligible() bool {
	for i := range v.params {
		if r := &v.w.routers[i]; r.life == running && !r.mem.Faulted && !v.deafDirector(i) {
			return true
		}
	}
	return false
}
