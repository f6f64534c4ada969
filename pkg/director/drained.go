package director

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// overrideDirector hands over what this director is MASTER of, and stays out; or takes part in the elections again.
func (d *Director) overrideDirector(ctx context.Context, l *loops, before override.Set, decided override.Override, r status.OverrideRequest) ([]string, error) {
	if decided.Kind == override.Enable {
		return d.takeBackAll(l), nil
	}
	done, err := d.handOverAll(ctx, l)
	if err != nil && !r.Force {
		_ = l.overrides.store(before) // an error is reported as a problem
		back := d.takeBackAll(l)
		return nil, errors.Join(fmt.Errorf("%w: this director stays in the elections (%d instances were handed over before that); with --force it only preempts nobody", err, len(back)))
	}
	if err != nil {
		done = append(done, err.Error())
	}
	return done, nil
}

// handOverAll hands over every instance that is MASTER.
func (d *Director) handOverAll(ctx context.Context, l *loops) (done []string, err error) {
	for _, i := range d.plan.Load().Instances {
		name := i.Config.Name
		members, err := l.instances.named(name, nil)
		if err != nil || members[0].actor.Snapshot().State != vrrp.Master { // or its sync group was handed over
			continue
		}
		text, err := d.FailOver(ctx, name, false)
		if err != nil {
			return done, err
		}
		done = append(done, text)
	}
	return done, nil
}

// takeBackAll lets all instances that were handed over preempt again.
func (d *Director) takeBackAll(l *loops) (done []string) {
	for _, i := range d.plan.Load().Instances {
		members, err := l.instances.named(i.Config.Name, nil)
		if err != nil || !members[0].actor.Snapshot().Handover.Done {
			continue
		}
		if text, err := d.FailOver(context.Background(), i.Config.Name, true); err == nil {
			done = append(done, text)
		}
	}
	return done
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
