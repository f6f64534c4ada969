package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// FailOver hands an instance over to another director, with its sync group, and waits until that has ended; name is that of
// an instance or a sync group of this director. With release it ends what an earlier handover has left: the instance
// preempts again. author is who wants it. done says what has happened. An error says why nothing, or something else, has.
func (d *Director) FailOver(ctx context.Context, name string, release bool, author string) (done string, err error) {
	l := d.loops.Load()
	if l == nil {
		return "", errors.New("the director has not started yet: try again, or see its log")
	}
	members, err := l.instances.named(name, d.groupMembers(name))
	if err != nil {
		return "", err
	}
	if release {
		return d.takeBack(name, members, author)
	}
	for _, i := range members {
		if s := i.actor.Snapshot(); s.State != vrrp.Master {
			where := ""
			if s.Master.IsValid() {
				where = fmt.Sprintf(": run lvsctl failover on %s", s.Master)
			}
			return "", fmt.Errorf("%s is not MASTER here (%s)%s", i.wanted.Config.Name, s.Reason, where)
		}
	}
	alive := d.withPeers(ctx, l, members)
	if len(alive) == 0 {
		return "", fmt.Errorf("no other director answers, so that nobody would take %s over: see lvsctl status there", name)
	}
	d.record(members, "handing over: "+author)
	alive[0].actor.HandOver(vrrp.HandOver{Reason: "lvsctl failover"})
	for _, i := range members {
		l.sync.peers.GiveWay(i.wanted.ID)
	}
	return d.awaitFailOver(ctx, name, members)
}

// takeBack lets instances take part in the election as before.
func (d *Director) takeBack(name string, members []*instance, author string) (string, error) {
	out := false
	for _, i := range members {
		out = out || i.actor.Snapshot().Handover.Done
	}
	if !out {
		return "", fmt.Errorf("%s has not been handed over, or has become MASTER again", name)
	}
	members[0].actor.TakeBack()
	d.record(members, "takes part in the election again: "+author)
	return name + " takes part in the election again", nil
}

// record records what an operator does.
func (d *Director) record(members []*instance, reason string) {
	for _, i := range members {
		d.o.Record(event.Event{Kind: event.InstanceHandover, Subject: i.wanted.Config.Name, Reason: reason, VirtualRouterID: i.wanted.Params.VRID})
	}
}

// awaitFailOver waits until the instances are BACKUP and have removed their VIPs, and no longer than a handover takes.
func (d *Director) awaitFailOver(ctx context.Context, name string, members []*instance) (string, error) {
	look := time.NewTicker(lookAtHandover)
	defer look.Stop()
	within := time.Duration(0)
	for _, i := range members {
		within = max(within, i.wanted.Params.HandOverWithin())
	}
	late := time.NewTimer(within)
	defer late.Stop()
	begun := false
	for {
		all := make([]election.Snapshot, len(members))
		for n, i := range members {
			all[n] = i.actor.Snapshot()
			begun = begun || all[n].Handover.Done
		}
		if done, err := d.failedOver(name, members, all, begun); done != "" || err != nil {
			return done, err
		}
		select {
		case <-look.C:
		case <-late.C:
			return "", fmt.Errorf("the handover of %s has not ended within %s (%s): see lvsctl status here and on the other directors", name, within, all[0].Reason)
		case <-d.stopped:
			return "", ErrStopped
		case <-ctx.Done():
			return "", fmt.Errorf("the handover goes on: see lvsctl status: %w", ctx.Err())
		}
	}
}

// failedOver returns how a handover has ended, from the states of its instances; neither if it has not. begun: it was seen to begin.
func (d *Director) failedOver(name string, members []*instance, all []election.Snapshot, begun bool) (done string, err error) {
	masters, led, pending := 0, false, false
	for n, s := range all {
		pending, led = pending || s.Handover.Pending, led || s.Master.IsValid()
		switch s.State {
		case vrrp.Master:
			masters++
		case vrrp.Init:
			return "", fmt.Errorf("%s has been stopped during the handover: see the log", members[n].wanted.Config.Name)
		}
	}
	switch s := all[0]; {
	case pending, !begun && masters == len(all):
		return "", nil
	case begun && masters > 0:
		d.record(members, "nobody took over: MASTER as before")
		return "", fmt.Errorf("nobody took %s over, and this director is MASTER as before (%s): the other director may have no real server, "+
			"or not be warm yet, or be a keepalived with nopreempt; see lvsctl status there", name, s.Reason)
	case !begun || !led:
		return "", fmt.Errorf("%s is not MASTER here any more, and has not been handed over (%s): see lvsctl status on the other directors", name, s.Reason)
	case s.Master.IsValid() && !slices.ContainsFunc(members, d.holds):
		return fmt.Sprintf("%s is handed over: %s is MASTER, until `lvsctl failover %s --release`", name, s.Master, name), nil
	}
	return "", nil
}

// holds reports whether VIPs of an instance are still here: they are removed a moment after the election has released them.
func (d *Director) holds(i *instance) bool { return d.loops.Load().addresses.Holds(i.wanted.ID) }

// groupMembers returns the names of the instances of a sync group with a name, or with an instance of this name; none if there
// is no such group.
func (d *Director) groupMembers(name string) (all []string) {
	p := d.plan.Load()
	for _, g := range p.Groups {
		var members []string
		for _, id := range g.Members {
			if i, known := p.Instance(id); known {
				members = append(members, i.Config.Name)
			}
		}
		if g.Name == name || slices.Contains(members, name) {
			return members
		}
	}
	return nil
}

// named returns the instances with a name, or with one of others.
func (s *instances) named(name string, others []string) (all []*instance, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[string]bool{}
	for _, i := range s.all {
		known[i.wanted.Config.Name] = true
		if i.wanted.Config.Name == name || slices.Contains(others, i.wanted.Config.Name) {
			all = append(all, &instance{wanted: i.wanted, actor: i.actor, running: i.running})
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(known) == 0:
		return nil, errors.New("this director has no VRRP instances")
	}
	return nil, fmt.Errorf("no VRRP instance or sync group %s here: the instances are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// forgottenAfter is after what time a director that has handed over is likely to have been forgotten: an operator who restarts or
// upgrades something on it needs less.
const forgottenAfter = 15 * time.Minute

// handoverForgotten returns the problem of an instance that has stayed out for long because of a handover by command.
// A director that is drained as a whole is reported as such.
func handoverForgotten(instance string, s *election.Snapshot, overrides override.Set, now time.Time) []problem.Finding {
	if _, out := overrides.Director(now); out {
		return nil
	}
	if h := s.Handover; !h.Done || h.Pending || s.State == vrrp.Master || now.Sub(h.Since) < forgottenAfter {
		return nil
	}
	return []problem.Finding{{Code: problem.HandoverForgotten, Subject: instance, Text: fmt.Sprintf(
		"%s: handed over with lvsctl failover at %s, and since then this director takes over from no MASTER, until lvsctl failover %s --release",
		instance, s.Handover.Since.Format(time.DateTime), instance)}}
}
