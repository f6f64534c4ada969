package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// FailOver hands an instance over to another director, with its sync group, and waits until that has ended; name is that of
// an instance or a sync group of this director. With release it ends what an earlier handover has left: the instance
// preempts again. done says what has happened. An error says why nothing, or something else, has.
func (d *Director) FailOver(ctx context.Context, name string, release bool) (done string, err error) {
	l := d.loops.Load()
	if l == nil {
		return "", errors.New("the director has not started yet: try again, or see its log")
	}
	members, err := l.instances.named(name, d.groupMembers(name))
	if err != nil {
		return "", err
	}
	if release {
		return d.takeBack(name, members)
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
	d.record(members, "handing over: an operator")
	alive[0].actor.HandOver("lvsctl failover")
	return d.awaitFailOver(ctx, name, members)
}

// takeBack lets instances take part in the election as before.
func (d *Director) takeBack(name string, members []*instance) (string, error) {
	out := false
	for _, i := range members {
		out = out || i.actor.Snapshot().Handover.Done
	}
	if !out {
		return "", fmt.Errorf("%s has not been handed over, or has become MASTER again", name)
	}
	members[0].actor.TakeBack()
	d.record(members, "takes part in the election again: an operator")
	return name + " takes part in the election again", nil
}

// record records what an operator does.
func (d *Director) record(members []*instance, reason string) {
	for _, i := range members {
		d.o.Record(event.Event{Kind: event.InstanceHandover, Subject: i.wanted.Config.Name, Reason: reason, VirtualRouterID: i.wanted.Params.VRID})
	}
}

// awaitFailOver waits until the instances are BACKUP and have removed their VIPs.
func (d *Director) awaitFailOver(ctx context.Context, name string, members []*instance) (string, error) {
	look := time.NewTicker(lookAtHandover)
	defer look.Stop()
	begun := false
	for {
		pending, masters := false, 0
		for _, i := range members {
			s := i.actor.Snapshot()
			begun = begun || s.Handover.Done
			pending = pending || s.Handover.Pending
			if s.State == vrrp.Master {
				masters++
			}
		}
		switch s := members[0].actor.Snapshot(); {
		case !begun || pending:
		case masters > 0:
			return "", fmt.Errorf("no other director took %s over, and this one has become MASTER again (%s)", name, s.Reason)
		case s.Master.IsValid():
			return fmt.Sprintf("%s is handed over: %s is MASTER, until `lvsctl failover %s --release`", name, s.Master, name), nil
		}
		select {
		case <-look.C:
		case <-d.stopped:
			return "", ErrStopped
		case <-ctx.Done():
			return "", fmt.Errorf("the handover goes on: see lvsctl status: %w", ctx.Err())
		}
	}
}

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
