package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/status"
)

const (
	// maxReason limits the reason of an override, in bytes, maxTime the time after which it ends.
	maxReason = 200
	maxTime   = 365 * 24 * time.Hour
)

// Override carries out what an operator has decided about a real server: author is the name of the user. The decision
// is in the state file before the table changes. An error says why nothing has changed.
func (d *Director) Override(ctx context.Context, r status.OverrideRequest, author string) (status.OverrideResult, error) {
	l := d.loops.Load()
	if l == nil {
		return status.OverrideResult{}, errors.New("the director has not started yet: try again, or see its log")
	}
	if err := checkRequest(r); err != nil {
		return status.OverrideResult{}, err
	}
	d.reloading.Lock() // so that names do not change meanwhile, and no other override
	defer d.reloading.Unlock()
	if err := ctx.Err(); err != nil {
		return status.OverrideResult{}, err
	}
	now := time.Now()
	l.overrides.takeIn(now)
	before := l.overrides.load()
	target, servers, err := d.targetOf(r, before)
	if err != nil {
		return status.OverrideResult{}, err
	}
	wanted := override.Override{Target: target, Kind: r.Kind, Weight: r.Weight, Author: author, Reason: r.Reason}
	if r.Within > 0 {
		wanted.Until = now.Add(r.Within)
	}
	if r.Patience > 0 {
		wanted.Patience = now.Add(r.Patience)
	}
	after, decided := before.Put(wanted, d.o.Node.Name, now)
	if err := errors.Join(d.leavesServers(l, after, now, r), refusing(servers, r)); err != nil {
		return status.OverrideResult{}, err
	}
	for _, s := range servers {
		if o, _ := after.Of(s.as, now); r.Kind == override.Enable && o.File != "" {
			return status.OverrideResult{}, fmt.Errorf("%s is drained by %s: remove it", s.id, o.Author)
		}
	}
	doc := status.OverrideResult{Override: status.OverrideOf(decided), Servers: d.connectionsOf(servers), Others: d.otherDirectors()}
	was := effects(before, servers, now)
	if o, out := before.Director(now); r.Director && out {
		was = []string{o.String()}
	}
	if r.Kind == override.Enable && len(was) == 0 && !active(before, target, now) {
		if r.Director { // a handover by lvsctl failover, or one that an earlier drain has left, ends, too
			doc.Done = d.takeBackAll(l, decided.Author)
			doc.Changed = len(doc.Done) > 0
		}
		return doc, nil
	}
	doc.Changed = true
	if err := l.overrides.store(after); err != nil {
		doc.Unsaved = err.Error()
	}
	if r.Director {
		if doc.Done, err = d.overrideDirector(ctx, l, before, decided, r); err != nil {
			return status.OverrideResult{}, err
		}
	}
	d.o.Record(event.Event{Kind: event.OverrideChanged, Subject: target.String(), From: strings.Join(was, ", "), To: decided.String(), Reason: decisionText(decided)})
	return doc, nil
}

// active reports whether a target itself has an override in effect.
func active(set override.Set, target override.Target, now time.Time) bool {
	return slices.ContainsFunc(set.All(), func(o override.Override) bool { return o.Target == target && o.Active(now) })
}

// effects returns the overrides of real servers that are in effect, as texts: each once.
func effects(set override.Set, servers []overridden, now time.Time) (all []string) {
	for _, s := range servers {
		if o, ok := set.Of(s.as, now); ok {
			all = append(all, o.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// decisionText says who has decided, why, and until when.
func decisionText(o override.Override) string {
	text := "by " + o.Author
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	if !o.Patience.IsZero() {
		text += "; connections are cut at " + o.Patience.Local().Format(time.DateTime)
	}
	if !o.Until.IsZero() {
		text += "; until " + o.Until.Local().Format(time.DateTime)
	}
	return text
}

func checkRequest(r status.OverrideRequest) error {
	switch {
	case r.Director == (r.Target != ""):
		return errors.New("want a real server or the director")
	case r.Director && r.Kind != override.Drain && r.Kind != override.Enable:
		return fmt.Errorf("%s: a director can only be drained and enabled", r.Kind)
	case r.Kind != override.Enable && r.Kind != override.Drain && r.Kind != override.Disable && r.Kind != override.Weight:
		return fmt.Errorf("%q: want drain, disable, weight or enable", r.Kind)
	case r.Kind == override.Weight && (r.Weight < 1 || r.Weight > override.MaxWeight):
		return fmt.Errorf("weight %d: want 1 to %d; lvsctl drain is for no new connections", r.Weight, override.MaxWeight)
	case r.Kind != override.Weight && r.Weight != 0:
		return fmt.Errorf("%s has no weight", r.Kind)
	case r.Patience < 0 || r.Patience > maxTime || r.Within < 0 || r.Within > maxTime:
		return fmt.Errorf("a time must be more than 0 and at most %s", maxTime)
	case r.Patience > 0 && r.Kind != override.Drain, r.Kind == override.Enable && r.Within > 0:
		return fmt.Errorf("%s has no such time", r.Kind)
	case len(r.Reason) > maxReason || strings.ContainsFunc(r.Reason, unicode.IsControl):
		return fmt.Errorf("the reason must have at most %d bytes and no control characters", maxReason)
	}
	return nil
}

// overridden is a real server that an override is about.
type overridden struct {
	id      config.ServerID
	as      override.Server
	service config.VirtualServer
	server  config.RealServer
}

// targetOf returns the target of a request, and its real servers. A target that the file does not have can be enabled, if
// there is an override of it.
func (d *Director) targetOf(r status.OverrideRequest, set override.Set) (override.Target, []overridden, error) {
	if r.Director {
		return override.Target{}, nil, nil
	}
	target := override.Target{Server: r.Target}
	if service, server, both := strings.Cut(r.Target, "/"); both {
		target = override.Target{Service: service, Server: server}
	}
	servers := coveredBy(target, d.running())
	known := slices.ContainsFunc(set.All(), func(o override.Override) bool { return o.Target == target })
	if len(servers) == 0 && !(known && r.Kind == override.Enable) {
		return target, nil, fmt.Errorf("no real server is named %q: want %s, or without the virtual server for all that have it", r.Target, strings.Join(d.serverNames(), ", "))
	}
	return target, servers, nil
}

func coveredBy(target override.Target, cfg *config.Config) (all []overridden) {
	for _, v := range cfg.VirtualServers {
		for _, r := range v.RealServers {
			if id, as := subject(v, r); target.Covers(as) {
				all = append(all, overridden{id, as, v, r})
			}
		}
	}
	return all
}

// leavesServers returns an error if a virtual server would have no real server left, unless that is wanted.
func (d *Director) leavesServers(l *loops, after override.Set, now time.Time, r status.OverrideRequest) error {
	if r.Force || r.Director || r.Kind != override.Drain && r.Kind != override.Disable {
		return nil
	}
	l.overrides.mu.Lock()
	next := l.overrides.decide(after, now, d.running())
	l.overrides.mu.Unlock()
	have, _ := l.table.snapshot()
	table := d.plan.Load().Table
	table.Verdicts = l.judge()
	if names := table.Emptied(next, have.Services); len(names) > 0 {
		return fmt.Errorf("%s is the last real server of %s that takes connections: clients would be refused; enable another one first, or use --force",
			r.Target, strings.Join(names, ", "))
	}
	return nil
}

// refusing returns an error if clients of a real server would be refused because of the scheduler, unless that is wanted.
func refusing(servers []overridden, r status.OverrideRequest) error {
	for _, s := range servers {
		if !r.Force && r.Kind == override.Drain && lvs.RefusesAt(s.service, lvs.Closing) {
			remedy := "add scheduler_flags: [fallback] to the cluster file"
			if s.service.Scheduler == "dh" {
				remedy = "choose another scheduler in the cluster file"
			}
			return fmt.Errorf("%s: the scheduler %s refuses the clients that it has assigned to a real server with weight 0: %s and reload, or use --force",
				s.id, s.service.Scheduler, remedy)
		}
	}
	return nil
}

// connectionsOf returns the servers with their numbers of connections; 0 if the table cannot be read.
func (d *Director) connectionsOf(servers []overridden) []status.OverriddenServer {
	all := make([]status.OverriddenServer, 0, len(servers))
	table := map[lvs.Key]lvs.Service{}
	if len(servers) > 0 {
		services, _ := d.o.Kernel.Services()
		for _, s := range services {
			table[s.Key] = s
		}
	}
	for _, s := range servers {
		c := countOf(s.service, s.server, table)
		all = append(all, status.OverriddenServer{Name: s.id.String(), ActiveConnections: c.active, InactiveConnections: c.inactive})
	}
	return all
}

func (d *Director) otherDirectors() []string {
	others := []string{}
	for _, one := range d.running().Directors {
		if one.Name != d.o.Node.Name {
			others = append(others, one.Name)
		}
	}
	return others
}

// decisionsIn returns what the overrides decide about the real servers of another file.
func (d *Director) decisionsIn(cfg *config.Config) plan.Decisions {
	l := d.loops.Load()
	if l == nil {
		return nil
	}
	set := l.overrides.load()
	set = set.Renamed(config.Renamed(d.running(), cfg), serversOf(d.running()))
	l.overrides.mu.Lock()
	defer l.overrides.mu.Unlock()
	return l.overrides.decide(set, time.Now(), cfg)
}
