package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// overrideDirector hands over what this director is MASTER of, and stays out; or takes part in the elections again.
func (d *Director) overrideDirector(ctx context.Context, l *loops, before override.Set, decided override.Override, r status.OverrideRequest) ([]string, error) {
	if decided.Kind == override.Enable {
		return d.takeBackAll(l, decided.Author), nil
	}
	done, tried, err := d.handOverAll(ctx, l, r.Force, decided.Author)
	if err != nil && !r.Force {
		_ = l.overrides.store(before) // an error is reported as a problem
		d.takeBackAll(l, decided.Author, tried...)
		return nil, fmt.Errorf("%w: this director stays in the elections (handovers before that, which it has ended: %d); with --force it only preempts nobody", err, len(done))
	}
	if err != nil {
		done = append(done, err.Error())
	}
	return done, nil
}

// handOverAll hands over every instance that is MASTER, and ends at the first that nobody takes over unless onward is set.
// tried are the instances that it has begun to hand over.
func (d *Director) handOverAll(ctx context.Context, l *loops, onward bool, author string) (done, tried []string, err error) {
	for _, i := range d.plan.Load().Instances {
		name := i.Config.Name
		members, unknown := l.instances.named(name, nil)
		if unknown != nil || slices.Contains(tried, name) || members[0].actor.Snapshot().State != vrrp.Master { // or its sync group was handed over
			continue
		}
		tried = append(append(tried, name), d.groupMembers(name)...)
		text, failed := d.FailOver(ctx, name, false, author)
		if failed == nil {
			done = append(done, text)
			continue
		}
		if err = errors.Join(err, failed); !onward || ctx.Err() != nil {
			break
		}
	}
	return done, tried, err
}

// takeBackAll lets instances that were handed over preempt again: those with the names, or without names all.
func (d *Director) takeBackAll(l *loops, author string, names ...string) (done []string) {
	for _, i := range d.plan.Load().Instances {
		name := i.Config.Name
		members, err := l.instances.named(name, nil)
		if err != nil || len(names) > 0 && !slices.Contains(names, name) || !members[0].actor.Snapshot().Handover.Done {
			continue
		}
		if text, err := d.FailOver(context.Background(), name, true, author); err == nil {
			done = append(done, text)
		}
	}
	return done
}

// releaseDrained lets this director preempt again, because the time for which it is drained is up. During a command or a
// reload it does nothing, and reports false.
func (d *Director) releaseDrained() bool {
	if !d.reloading.TryLock() {
		return false
	}
	defer d.reloading.Unlock()
	l := d.loops.Load()
	if l == nil { // nothing has been handed over yet
		return true
	}
	if _, out := l.overrides.load().Director(time.Now()); !out {
		d.takeBackAll(l, "the time is up for which this director is drained")
	}
	return true
}

// outByOperator returns why this director must not preempt because an operator has drained it; "" if none has.
func (o *overrides) outByOperator(now time.Time) string {
	one, out := o.load().Director(now)
	if !out {
		return ""
	}
	text := fmt.Sprintf("this director is drained by %s since %s", one.Author, one.Since.Local().Format(time.DateTime))
	if one.Reason != "" {
		text += " (" + one.Reason + ")"
	}
	return text
}
