package director

import (
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// transition records a state change of an instance.
func (d *Director) transition(l *loops, id config.InstanceID, e event.Event) {
	d.o.Record(e)
	l.sync.moved(id, e.To)
	l.quiet.moved(id, e.To)
	d.tellHooks(l, id, e)
	tookOver(l, id, e)
	l.silent.poke()
	d.problems.poke()
	wake(d.roles)
}

// recordVerdict records a verdict whose state differs from the previous one.
func (d *Director) recordVerdict(of config.Subject, before, now health.Verdict) {
	e := event.Event{
		Kind: event.RealServerState, Subject: of.Server.String(), From: verdictWord(before), To: verdictWord(now),
		Code: string(now.Code), Reason: now.Reason,
	}
	if of.Track != "" {
		e.Kind, e.Subject = event.TrackState, string(of.Track)
	}
	if e.From != e.To {
		d.o.Record(e)
	}
}

func verdictWord(v health.Verdict) string {
	switch {
	case !v.Known:
		return event.Unknown
	case !v.Up:
		return event.Down
	case v.Full:
		return event.Full
	default:
		return event.Up
	}
}
