package director

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// switchWithin limits how long a reload waits for the checks to take their new names. Neither the table nor an
// instance that depends on a track is changed during that time.
const switchWithin = time.Second

// turn reads what the loops have published, makes a new plan if anything has changed, and applies it. After an error
// the old plan stays in effect, and the next turn tries again.
func (d *Director) turn(l *loops) error {
	fresh := d.takeIn(l)
	l.instances.endRetired(time.Now())
	from := d.plan.Load()
	d.settle(from, time.Now())
	reason := d.ready.look(time.Now(), d.facts(l, from), d.log)
	empty := reason == noServer
	if out := l.overrides.outByOperator(time.Now()); reason == "" || out != "" {
		reason = out
	}
	if reason != d.in.NotReady || empty != d.in.Empty {
		d.in.NotReady, d.in.Empty, d.judged = reason, empty, true
	}
	if starting := d.ready.checking; starting != d.in.Starting {
		d.in.Starting, d.judged = starting, true
	}
	d.stand(l)
	if d.changed || d.decided != l.overrides.current() {
		d.in.Decisions, d.decided = l.overrides.decisions(d.in.Config, d.in.Next)
		d.judged = true
	}
	now := time.Now()
	d.judged = d.judged || d.stepDue(now)
	if !d.changed && !d.judged {
		if fresh {
			d.reportVIPs(l, from)
		}
		return nil
	}
	d.in.Before, d.in.Memories, d.in.Starts = from.Links, from.Table.Memories, from.Table.Starts
	d.in.Last = from.Table.Last
	d.in.Previous = func() []lvs.Service {
		have, _ := l.table.snapshot()
		return from.Table.Desired(have.Services)
	}
	d.in.Now = now
	var to plan.Plan
	if d.changed {
		to = plan.Of(d.in).Sharing(from)
		d.sources.Set(newSources(to.Sources))
	} else {
		to = from.Judged(d.in)
	}
	if err := d.goTo(l, from, &to); err != nil {
		return err
	}
	d.plan.Set(to)
	l.state.NoteOnStandby(to.Table.OnStandby())
	d.recordTracks(from, to)
	d.tellPools(l, from.Table, to.Table)
	d.problems.poke()
	d.changed, d.judged = false, false
	if fresh {
		d.reportVIPs(l, to)
	}
	return nil
}

// takeIn reads what the watcher has published and reports whether it has read the kernel since the last turn.
func (d *Director) takeIn(l *loops) (fresh bool) {
	var s sight
	s, d.seen = l.watcher.Snapshot()
	fresh = s.begun.After(d.looked)
	d.looked = s.begun
	if unmade := l.links.Unmade(); !maps.Equal(unmade, d.in.Unmade) {
		d.in.Unmade, d.changed = unmade, true
	}
	if d.in.Looked && slices.Equal(s.links, d.in.Links) && slices.EqualFunc(s.addresses, d.in.Addresses, sameAddress) {
		return fresh
	}
	others := func(all []kernel.Address) []kernel.Address { return slices.DeleteFunc(slices.Clone(all), plan.Leased) }
	d.rearranged = d.rearranged || !slices.EqualFunc(others(s.addresses), others(d.in.Addresses), sameAddress)
	d.in.Links, d.in.Addresses, d.in.Looked = s.links, s.addresses, len(s.links) > 0
	d.changed = true
	l.sysctls.Follow(s.links)
	l.links.Poke()
	return fresh
}

// settle follows the interfaces of the instances of a plan that have delays.
func (d *Director) settle(p plan.Plan, now time.Time) {
	next, wait := d.in.Steadiness.Next(p.Instances, d.in.Links, now)
	d.judged = d.judged || !next.Equal(d.in.Steadiness)
	d.in.Steadiness, d.settles = next, time.Time{}
	if wait > 0 {
		d.settles = now.Add(wait)
	}
}

// untilSettled returns the time until the interface of an instance may count as another one although nothing has happened.
func (d *Director) untilSettled(now time.Time) time.Duration {
	if d.settles.IsZero() {
		return time.Hour
	}
	return max(d.settles.Sub(now), 0)
}

// sameAddress compares two addresses without their remaining lifetimes.
func sameAddress(a, b kernel.Address) bool {
	return a.IfAddr() == b.IfAddr() && a.Global == b.Global && a.Tentative == b.Tentative && a.Duplicate == b.Duplicate &&
		plan.Leased(a) == plan.Leased(b)
}

// facts returns the inputs of readiness.
func (d *Director) facts(l *loops, p plan.Plan) facts {
	var reached tableState
	reached, d.reached = l.table.snapshot()
	f := facts{checked: true, synced: reached.synced, warm: !p.Sync.Wanted() || !l.sync.peers.Snapshot().Cold, warmWithin: p.Sync.WarmTimeout}
	f.master = d.ready.cold && masterHeard(snapshots{plan: p, instances: l.instances.snapshots()}, time.Now(), 0).IsValid()
	select {
	case <-l.checker.Ready():
	default:
		f.checked = false
	}
	f.checked = f.checked && l.watches.ready(p)
	// A table that cannot be read is no reason to wait: the table loop reports the error. If no table is needed, its
	// content is left over from an earlier run.
	f.serves = !reached.Known || !p.Table.Needed() || p.Table.Serves(reached.Serving)
	return f
}

// goTo executes the steps to a plan. Once the checks or the BFD sessions have been set, it updates to with their verdicts,
// which are not known under new names earlier, and may have changed since to was made: then it executes what follows from
// that, too.
func (d *Director) goTo(l *loops, from plan.Plan, to *plan.Plan) error {
	planned, judged := *to, false
	for _, step := range plan.Transition(from, planned) {
		if err := d.execute(l, step, to); err != nil {
			if from.Config != nil { // not at a start: the state of an earlier run is kept for the next attempt
				for _, back := range plan.Release(*to, from) {
					_ = d.execute(l, back, &from) // releasing steps do not fail
				}
			}
			return err
		}
		if step.Do == plan.SetChecks || step.Do == plan.SetWatches || step.Do == plan.SetSessions {
			d.in.Verdicts = l.judge()
			*to, judged = to.Judged(d.in), true
		}
	}
	if judged {
		for _, step := range plan.Transition(planned, *to) {
			_ = d.execute(l, step, to) // only what is judged differs, and no step for that can fail
		}
	}
	return nil
}

// execute passes one loop its part of the plan. Only steps that acquire something can fail.
func (d *Director) execute(l *loops, step plan.Step, p *plan.Plan) error {
	switch step.Do {
	case plan.Record:
		l.state.saved(errors.Join(l.state.RecordAddress(p.Records...), l.state.RecordRouting(p.Routing.Routes, p.Routing.Rules)))
	case plan.OpenSocket:
		return d.openSocket(l, step.Link, p)
	case plan.SetSysctls:
		return l.sysctls.Set(p.Sysctls)
	case plan.AddLinks:
		l.links.Set(p.Virtual) // the next turn reads what could not be added
	case plan.RemoveLinks:
		l.links.Set(p.Virtual)
		l.links.Trim()
	case plan.OpenTable:
		return l.table.open()
	case plan.SetChecks:
		d.setChecks(l, p)
	case plan.SetWatches:
		l.watches.set(p.Watches)
	case plan.SetTable:
		l.table.set(p.Table)
	case plan.SetTakeOvers:
		setTakeOvers(l, p)
	case plan.SetSync:
		l.setSync(p)
	case plan.ReopenSocket:
		d.reopenSocket(l, step.Link, p)
	case plan.SetSessions:
		l.sessions.set(p.Sessions)
	case plan.SetMarks, plan.ReplaceSource, plan.KeepReturn, plan.CloseVIPs:
		setRules(l, step.Do, p)
	case plan.SetHooks:
		d.setHooks(l, p, step.Ending)
	case plan.DropHooks:
		d.setHooks(l, p, nil)
	case plan.SetVIPs:
		l.addresses.Set(step.VIPs)
		l.routes.Set(step.VIPs)
		l.watcher.Set(step.VIPs)
	case plan.Announce:
		d.announce(l, step, p)
	case plan.SetGroups:
		l.instances.arrange(p.Groups)
	case plan.StopInstance:
		l.instances.stop(step.Instance, step.Heirs)
	case plan.SetInstance, plan.StartInstance:
		if i, found := p.Instance(step.Instance); found && step.Do == plan.SetInstance {
			l.instances.set(i)
		} else if found {
			l.instances.start(i, len(p.Instances))
		}
	case plan.CloseSocket:
		l.sockets.remove(step.Link)
	case plan.Forget:
		l.state.saved(l.state.SetAddresses(p.Records))
	case plan.GiveBack:
		d.giveBack(l, p)
	}
	return nil
}

// setChecks waits until the checks have their new names if a table depends on them.
func (d *Director) setChecks(l *loops, p *plan.Plan) {
	taken := l.checker.Set(p.Checks)
	if len(p.Checks) == 0 && !l.table.runs() && !p.Table.Needed() {
		return
	}
	late := time.NewTimer(switchWithin)
	defer late.Stop()
	select {
	case <-taken:
	case <-late.C:
	}
}

func (d *Director) announce(l *loops, step plan.Step, p *plan.Plan) {
	i, _ := p.Instance(step.Instance)
	before, now := d.plan.Load().Link(i.Segment), p.Link(i.Segment)
	if before.HardwareAddr != now.HardwareAddr {
		d.log.Info("the hardware address of the interface has changed; announcing its VIPs again", "interface", now.Interface,
			"from", before.HardwareAddr, "to", now.HardwareAddr)
	} else {
		d.log.Info("the interface has its carrier again before that counted as lost; announcing its VIPs again", "interface", now.Interface)
	}
	l.addresses.Announce(i.ID)
}

func (d *Director) giveBack(l *loops, p *plan.Plan) {
	err := l.sysctls.Set(p.Sysctls)
	if err == nil {
		err = l.sysctls.Restore(p.Sysctls)
	}
	if err != nil {
		d.log.Warn("cannot restore sysctls that are no longer needed", "error", err)
	}
}

// reportVIPs tells the address loop which of its VIPs are missing or misplaced, because the event about it may have
// been lost.
func (d *Director) reportVIPs(l *loops, p plan.Plan) {
	for _, tell := range []struct {
		of   []kernel.IfAddr
		note func(iface string, p netip.Prefix, looked time.Time)
	}{{p.Missing, l.addresses.Missed}, {p.Misplaced, l.addresses.Misplaced}} {
		for _, at := range tell.of {
			tell.note(at.Interface, at.Prefix, d.looked)
		}
	}
	l.addresses.Looked(d.looked, d.rearranged)
	d.rearranged = false
}
