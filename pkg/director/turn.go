package director

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// switchWithin bounds how long a reload waits for the checks to take their new names, during which the table stands still.
const switchWithin = time.Second

// turn takes in what the loops have published, makes the plan for it if that is anything new, and goes there. After an error
// everything is as it was before, but for what the next turn does again.
func (d *Director) turn(l *loops) error {
	fresh := d.takeIn(l)
	from := d.plan.Load()
	if reason := d.ready.look(time.Now(), d.facts(l, from), d.log); reason != d.in.NotReady {
		d.in.NotReady, d.judged = reason, true
	}
	if !d.changed && !d.judged {
		if fresh {
			d.tellOfVIPs(l, from)
		}
		return nil
	}
	d.in.Before = from.Links
	var to plan.Plan
	if d.changed {
		to = plan.Of(d.in).Sharing(from)
	} else {
		to = from.Judged(d.in.Verdicts, d.in.NotReady)
	}
	if err := d.goTo(l, from, &to); err != nil {
		return err
	}
	d.plan.Set(to)
	d.problems.poke()
	d.changed, d.judged = false, false
	if fresh {
		d.tellOfVIPs(l, to)
	}
	return nil
}

// takeIn reads what the watcher has published, and says whether it has looked since the last turn.
func (d *Director) takeIn(l *loops) (fresh bool) {
	var s sight
	s, d.seen = l.watcher.Snapshot()
	fresh = s.begun.After(d.looked)
	d.looked = s.begun
	if d.in.Looked && slices.Equal(s.links, d.in.Links) && slices.EqualFunc(s.addresses, d.in.Addresses, sameAddress) {
		return fresh
	}
	d.in.Links, d.in.Addresses, d.in.Looked = s.links, s.addresses, len(s.links) > 0
	d.changed = true
	l.sysctls.Follow(s.links)
	return fresh
}

// sameAddress does not look at how long a lease still lasts.
func sameAddress(a, b kernel.Address) bool {
	return a.IfAddr() == b.IfAddr() && a.Global == b.Global && a.Usable() == b.Usable()
}

// facts are those that readiness depends on.
func (d *Director) facts(l *loops, p plan.Plan) facts {
	var reached tableState
	reached, d.reached = l.table.snapshot()
	f := facts{checked: true, synced: reached.synced}
	select {
	case <-l.checker.Ready():
	default:
		f.checked = false
	}
	// A table that cannot be read is no reason to wait: the table loop says what is wrong with it. And where none is wanted,
	// what is in it is what an earlier run left.
	f.serves = !reached.Known || !p.Table.Needed() || p.Table.Serves(reached.Serving)
	return f
}

// goTo executes the steps to a plan. to takes in the verdicts when the checks have been set: only they know them.
func (d *Director) goTo(l *loops, from plan.Plan, to *plan.Plan) error {
	for _, step := range plan.Transition(from, *to) {
		if err := d.execute(l, step, to); err != nil {
			if from.Config != nil { // not at a start: what an earlier run left stays for the next one
				for _, back := range plan.Release(*to, from) {
					_ = d.execute(l, back, &from) // releasing does not fail
				}
			}
			return err
		}
		if step.Do != plan.SetChecks {
			continue
		}
		if d.in.Verdicts = l.checker.Verdicts(); l.table.runs() || to.Table.Needed() {
			*to = to.Judged(d.in.Verdicts, d.in.NotReady)
		}
	}
	return nil
}

// execute tells one loop what the plan wants of it. Only what acquires something can fail.
func (d *Director) execute(l *loops, step plan.Step, p *plan.Plan) error {
	switch step.Do {
	case plan.Record:
		l.state.saved(l.state.RecordAddress(p.Records...))
	case plan.OpenSocket:
		return l.sockets.add(step.Link)
	case plan.SetSysctls:
		return l.sysctls.Set(p.Sysctls)
	case plan.OpenTable:
		return l.table.open()
	case plan.SetChecks:
		d.setChecks(l, p)
	case plan.SetTable:
		l.table.set(p.Table)
	case plan.ReopenSocket:
		l.sockets.reopen(step.Link)
	case plan.SetVIPs:
		l.addresses.Set(step.VIPs)
		l.watcher.Set(step.VIPs)
	case plan.Announce:
		d.announce(l, step, p)
	case plan.StopInstance:
		l.instances.stop(step.Instance)
	case plan.SetInstance, plan.StartInstance:
		if i, found := p.Instance(step.Instance); found && step.Do == plan.SetInstance {
			l.instances.set(i)
		} else if found {
			l.instances.start(i)
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

// setChecks waits, where a table depends on them, until the checks have their new names.
func (d *Director) setChecks(l *loops, p *plan.Plan) {
	taken := l.checker.Set(p.Checks)
	if !l.table.runs() && !p.Table.Needed() {
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
	d.log.Info("the interface has another hardware address; its VIPs are announced again", "interface", now.Interface,
		"from", before.HardwareAddr, "to", now.HardwareAddr)
	l.addresses.Announce(i.ID)
}

func (d *Director) giveBack(l *loops, p *plan.Plan) {
	err := l.sysctls.Set(p.Sysctls)
	if err == nil {
		err = l.sysctls.GiveBack(p.Sysctls)
	}
	if err != nil {
		d.log.Warn("sysctls that are not needed any more keep our values", "error", err)
	}
}

// tellOfVIPs tells the address loop of what a look has found of its VIPs: the event that said so may be lost.
func (d *Director) tellOfVIPs(l *loops, p plan.Plan) {
	for _, tell := range []struct {
		of   []kernel.IfAddr
		note func(iface string, p netip.Prefix, looked time.Time)
	}{{p.Missing, l.addresses.Missed}, {p.Misplaced, l.addresses.Misplaced}} {
		for _, at := range tell.of {
			tell.note(at.Interface, at.Prefix, d.looked)
		}
	}
}
