package vrrp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A world is one state of the explicit-state search: directors that run the real machine behind the real Guard, the
// adverts in flight, and the faults that are left. It is a value: it is copied for each choice, and two equal worlds are
// one state. Its clock stands at epoch: what matters is only how far in the past or in the future something is.
//
// Time advances from one event to the next. Between two events of the machines a frame may arrive in any order, be lost or
// be duplicated, and anything that the plan allows may happen to a director.
type world struct {
	routers [maxRouters]router
	frames  [maxFrames]inFlight // sorted; those at the end are the zero value
	cut     [maxRouters][maxRouters]bool
	groups  [maxGroups]groupState // by director, if they have sync groups
	left    budget

	// calmSince is when the last thing that disturbs an election ended.
	calmSince time.Duration
	// together is since when two directors that run have held the same VIPs, if they do.
	two      bool
	together time.Duration
	// seamless: a director hands over to others that can take over at once, or one that is better has returned, and nothing
	// else has happened since.
	seamless bool
	// steadfast: there is a MASTER that must stay MASTER, because a director that does not preempt has started, or is about to
	// hear it.
	steadfast bool
}

const (
	maxRouters = 4
	maxGroups  = 2
	maxFrames  = 6
	maxQueue   = 2

	// epoch is the present of each world.
	epoch = time.Hour
	// frameDelay is how long a frame takes at most.
	frameDelay = 100 * time.Millisecond
	// old is the age at which a time in the past is as good as any other one further in the past: the machine compares ages
	// with three advert intervals at most, and also the difference of two that are not older than that. Exceptions are
	// lossWindow, which is not reached, and the bounces of a sync group.
	old = 8 * time.Second
)

// router is one virtual router of one director. The lease of its VIPs is renewed all the time while it runs.
type router struct {
	life  life
	mem   memory
	guard Guard
	// holds: it has added the VIPs and not removed them. The kernel removes them at the end of the lease if it does not run:
	// then they are gone.
	holds bool
	gone  bool
	// relieved: another director has announced the VIPs since this one added them or began to hand over.
	relieved bool
	lease    time.Duration
	deaf     bool // its link has a carrier, and delivers nothing
	// queue is what its socket has received while it hung: the newest advert of each source.
	queue [maxQueue]inFlight
}

type life uint8

const (
	running life = iota
	hung         // the process, or the whole machine
	ended        // crashed, or stopped
)

type inFlight struct {
	used     bool
	from, to uint8
	priority uint8
	claim    bool          // no advert, but the announcement of the VIPs
	latest   time.Duration // it arrives by then
}

// budget is how often each kind of disturbance may still happen.
type budget struct{ faults, losses, copies uint8 }

// setting is what all worlds of one search have in common.
type setting struct {
	name string
	// params are those of each router. With segments, each director has one router for each of them, one after the other;
	// they are a sync group.
	params   []Params
	segments int           // 0: one, and no groups
	ends     time.Duration // how long after the last disturbance the election has ended
	lease    time.Duration
	left     budget
	deaf     time.Duration // deaf_delay; 0: links always work at a start
	prompt   bool          // no time passes while a frame is in flight
	broken   brokenStep    // in place of Machine.Step; nil: Machine.Step
}

// start is the world before anything has happened: the directors are about to be started.
func (s *setting) start() world {
	w := world{left: s.left, calmSince: epoch}
	for i := range s.params {
		w.routers[i] = router{life: ended}
	}
	return w
}

// director returns the routers of the director to which a router belongs.
func (s *setting) director(i int) (from, to int) {
	n := max(s.segments, 1)
	return i / n * n, i/n*n + n
}

// neighbours reports whether two routers are on one segment.
func (s *setting) neighbours(i, j int) bool { return i != j && (i-j)%max(s.segments, 1) == 0 }

// reaches reports whether what a router sends now may arrive at another one.
func (v *visit) reaches(i, to int) bool {
	w := v.w
	return v.neighbours(i, to) && !w.cut[i][to] && !w.routers[i].deaf && !w.routers[to].deaf
}

// visit is one world at work: the steps that a choice leads to.
type visit struct {
	*setting
	w     *world
	wrong string           // the first violated property
	calm  bool             // nothing has disturbed the election for electionEnds, when the choice was made
	log   *strings.Builder // what happens; nil: nobody wants to know

	retainUntil time.Duration // until when the router that makes a step keeps VIPs for its successor; 0: it does not
}

func (v *visit) fail(format string, args ...any) {
	if v.wrong == "" {
		v.wrong = fmt.Sprintf(format, args...)
	}
}

func (v *visit) say(format string, args ...any) {
	if v.log != nil {
		fmt.Fprintf(v.log, format+"\n", args...)
	}
}

// machine returns a copy of the machine of a router.
func (v *visit) machine(i int) *Machine {
	return &Machine{p: v.params[i], mem: v.w.routers[i].mem}
}

// step passes an event to a router, and then what follows for its sync group, and carries out the actions.
func (v *visit) step(i int, ev Event) {
	if v.w.routers[i].life != running {
		return
	}
	if v.segments > 0 {
		v.stepGroup(i, ev)
		return
	}
	m := v.machine(i)
	v.stepMachine(i, m, ev)
	v.checkRouter(i, m)
}

func (v *visit) stepMachine(i int, m *Machine, ev Event) {
	before := m.State()
	v.retainUntil = 0
	if m.Retains() {
		v.retainUntil = m.mem.Handover.RetainUntil
	}
	acts := v.broken.step(m, ev)
	v.w.routers[i].mem = m.mem
	if v.log != nil {
		v.say("  %s: %s", v.name(i), ev)
	}
	for _, a := range acts {
		if v.log != nil {
			v.say("    %s", a)
		}
		if _, released := a.(Release); released && m.State() != Master { // otherwise it takes them again
			v.checkRelease(i)
		}
		v.do(i, before, m, a)
	}
	v.checkDeadline(i, m)
}

// name is a letter for the director, and the segment.
func (v *visit) name(i int) string {
	if v.segments == 0 {
		return string(rune('A' + i))
	}
	return fmt.Sprintf("%c%d", 'A'+i/v.segments, i%v.segments+1)
}

func (v *visit) do(i int, before State, m *Machine, a Action) {
	r := &v.w.routers[i]
	switch a := a.(type) {
	case SendAdvert:
		if a.Priority != PriorityResign && m.State() != Master && before != Master {
			v.fail("%s sends an advert of priority %d as %s", v.name(i), a.Priority, m.State())
		}
		for to := range v.params {
			if v.reaches(i, to) && v.w.routers[to].life != ended {
				v.w.post(inFlight{used: true, from: uint8(i), to: uint8(to), priority: a.Priority, latest: epoch + frameDelay})
			}
		}
	case Acquire:
		if r.holds != (a.Cause == CauseStalled) {
			v.fail("%s acquires VIPs twice, or without the VIPs after a stall", v.name(i))
		}
		r.holds, r.gone, r.relieved = true, false, false
		v.relieve(i)
	case Release:
		if !r.holds {
			v.fail("%s releases VIPs that it does not hold", v.name(i))
		}
		r.holds, r.gone = false, false
	case Announce:
		if !r.holds {
			v.fail("%s announces VIPs that it does not hold", v.name(i))
		}
		if a.After == 0 {
			v.relieve(i)
		}
	case Transition:
		if m.mem.StateReason.Kind == unsucceeded {
			v.w.calmSince, v.calm = epoch, false
		}
		v.checkTransition(i, a)
	}
}

// relieve lets the routers that hold the VIPs, too, receive an announcement of router i.
func (v *visit) relieve(i int) {
	for to := range v.params {
		if r := &v.w.routers[to]; v.reaches(i, to) && r.life != ended && r.holds {
			v.w.post(inFlight{used: true, from: uint8(i), to: uint8(to), claim: true, latest: epoch + frameDelay})
		}
	}
}

// post sends a frame. If too many are in flight, the oldest is lost.
func (w *world) post(f inFlight) {
	for i := range w.frames {
		if !w.frames[i].used {
			w.frames[i] = f
			return
		}
	}
	copy(w.frames[:], w.frames[1:])
	w.frames[maxFrames-1] = f
}

// receive passes an advert to a director, if its guard admits it.
func (v *visit) receive(i int, f inFlight) {
	r := &v.w.routers[i]
	m := v.machine(i)
	a := Advert{Source: v.params[f.from].Source, Priority: f.priority, Interval: v.params[f.from].AdvertInterval}
	if why := r.guard.Admit(epoch, m.State(), m.EffectiveParams(), a); why != DropNone {
		v.say("  %s drops an advert of priority %d of %s: %s", v.name(i), f.priority, v.name(int(f.from)), why)
		return
	}
	v.step(i, a)
}

// deliver passes a frame to its receiver, or to the queue of its socket.
func (v *visit) deliver(f inFlight) {
	r := &v.w.routers[f.to]
	switch {
	case f.claim && r.life == running:
		r.relieved = true
		if r.mem.Handover.Retains {
			v.step(int(f.to), Succeeded{})
		}
		return
	case f.claim:
		return
	}
	switch r.life {
	case running:
		v.receive(int(f.to), f)
	case hung:
		r.enqueue(f)
	case ended:
	}
}

// enqueue keeps the newest advert of each source.
func (r *router) enqueue(f inFlight) {
	f.latest = 0
	for i := range r.queue {
		if q := &r.queue[i]; !q.used || q.from == f.from {
			*q = f
			return
		}
	}
}

// next returns when something happens by itself; ok is false if nothing does.
func (v *visit) next() (at time.Duration, ok bool) {
	at = epoch + old
	for i := range v.params {
		r := &v.w.routers[i]
		due, has := v.deadline(i)
		switch {
		case has:
			at, ok = min(at, due), true
		case r.life != running && r.holds && !r.gone:
			at, ok = min(at, r.lease), true
		}
	}
	for _, f := range v.w.frames {
		if f.used {
			at, ok = min(at, f.latest), true
		}
	}
	return max(at, epoch), ok
}

// deadline returns when a router of a running director, or its sync group, needs a tick.
func (v *visit) deadline(i int) (at time.Duration, ok bool) {
	if v.w.routers[i].life != running {
		return 0, false
	}
	m := Machine{p: v.params[i], mem: v.w.routers[i].mem}
	at, ok = m.Deadline()
	if v.segments > 0 {
		if due, has := v.w.groups[i/v.segments].deadline(); has && (!ok || due < at) {
			return due, true
		}
	}
	return at, ok
}

// advance lets time pass and moves the world back to epoch.
func (v *visit) advance(by time.Duration) {
	v.say("%s later", by)
	w := v.w
	for i := range v.params {
		r := &w.routers[i]
		r.mem.shift(-by)
		r.guard.shift(-by)
		if r.lease -= by; r.holds && !r.gone && r.life != running && r.lease <= epoch {
			v.say("  the lease of %s ends", v.name(i))
			r.gone = true
		}
	}
	for i := range w.frames {
		if w.frames[i].used {
			w.frames[i].latest -= by
		}
	}
	for i := range w.groups {
		w.groups[i].shift(-by)
	}
	w.calmSince -= by
	w.together -= by
	v.checkTime()
}

// normal makes worlds equal that differ in nothing that matters.
func (w *world) normal(calm time.Duration) {
	// Those of one path stay in their order.
	slices.SortStableFunc(w.frames[:], func(a, b inFlight) int {
		return cmp.Or(-compareBool(a.used, b.used), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	for i := range w.routers {
		r := &w.routers[i]
		r.mem.normal()
		r.guard.normal()
		if r.life == running || !r.holds || r.gone {
			r.lease = 0
		}
		r.relieved = r.relieved && r.holds
	}
	for i := range w.groups {
		w.groups[i].normal()
	}
	w.calmSince = max(w.calmSince, epoch-calm)
	if w.together = max(w.together, epoch-2*frameDelay); !w.two {
		w.together = 0
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// times returns every time of a memory that is on the clock of Step, except Now, which is always epoch.
func (s *memory) times() [21]*time.Duration {
	return [...]*time.Duration{
		&s.Since, &s.DownFrom, &s.NotBefore, &s.LowerSince, &s.AdvertDue, &s.StalledUntil, &s.RivalSince, &s.RivalAt, &s.LostAt,
		&s.HoldOffUntil, &s.HeardAt, &s.Alarms.BlamedAt, &s.Alarms.FalseAt, &s.Alarms.DoubtUntil, &s.GaveWayUntil, &s.Handover.From, &s.Handover.Until, &s.Handover.RetainUntil, &s.Handover.Since,
		&s.Hears.Since, &s.Hears.Until,
	}
}

func (s *memory) shift(by time.Duration) {
	for _, at := range s.times() {
		*at += by
	}
}

// normal forgets what is only reported, and what means nothing in this state.
func (s *memory) normal() {
	s.Now = epoch
	for _, at := range s.times() {
		*at = max(*at, epoch-old)
	}
	s.StateReason.For, s.StateReason.Text, s.StateReason.Own = 0, "", 0
	s.FaultReason, s.Handover.Why = "", ""
	forget := func(unless bool, at ...*time.Duration) {
		for _, at := range at {
			if !unless {
				*at = 0
			}
		}
	}
	master := s.State == Master
	s.Rival, s.Stalled = s.Rival && master, s.Stalled && epoch-s.StalledUntil < stallLossWindow
	s.Resigned, s.Extended, s.Lower = s.Resigned && !master, s.Extended && !master, s.Lower && !master
	forget(master && epoch-s.Since < time.Second, &s.Since)
	forget(master, &s.AdvertDue)
	forget(s.Rival, &s.RivalAt, &s.RivalSince)
	forget(s.Stalled, &s.StalledUntil, &s.StalledFor)
	forget(!master, &s.DownFrom)
	forget(s.Lower, &s.LowerSince)
	forget(s.NotBefore > epoch, &s.NotBefore)
	forget(s.Hears.Deaf && s.Hears.Until > epoch, &s.Hears.Until)
	forget(false, &s.Hears.Since)
	forget(s.GaveWayUntil > epoch, &s.GaveWayUntil)
	forget(s.Handover.Begun, &s.Handover.Until)
	forget(s.Handover.Begun && s.Handover.From > epoch, &s.Handover.From)
	forget(s.Handover.Retains, &s.Handover.RetainUntil)
	forget(false, &s.Handover.Since)
	forget(s.Losses > 0, &s.LostAt)
	forget(s.HoldOffUntil > epoch, &s.HoldOffUntil)
	forget(s.Alarms.Blamed.IsValid(), &s.Alarms.BlamedAt)
	forget(s.Alarms.False > 0, &s.Alarms.FalseAt)
	forget(s.Alarms.DoubtUntil > epoch, &s.Alarms.DoubtUntil)
	forget(s.Heard.IsValid(), &s.HeardAt)
}

func (g *Guard) shift(by time.Duration) {
	g.answered += by
	g.resignedAt += by
}

func (g *Guard) normal() {
	g.answered = max(g.answered, epoch)
	if g.resigned && epoch-g.resignedAt >= 2*g.hold { // it begins anew
		g.resigned, g.resignedAt, g.hold = false, 0, 0
	}
	if !g.resigned {
		g.resignedAt, g.hold = 0, 0
	}
}
