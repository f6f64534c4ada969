package director

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// countEvery is how often the connections of servers that are drained are counted.
	countEvery = time.Second
	// lastPackets is how long a server that is drained keeps its entry after the last active connection: IPVS counts one as
	// inactive from its first FIN on, and before its handshake is complete.
	lastPackets = 5 * time.Second
	// forgetAfter is how long an override that has ended is kept.
	forgetAfter = 30 * 24 * time.Hour
)

// overrides has what operators have decided, and how far the drains have come. Its loop ends drains when the last
// connection has ended, and overrides when their time is up.
type overrides struct {
	state   *stateFile
	file    func() *config.Config
	table   func() tableState
	down    func(config.ServerID) bool    // its checks fail, so that it has no entry
	whole   func() ([]lvs.Service, error) // a complete read of the table
	count   func() ([]lvs.Service, error) // the table with the numbers of connections
	record  func(event.Event)
	changed func()
	// release lets the director preempt again, and reports whether it could do so now: otherwise it is called again.
	release func() bool
	ready   task.Latch

	following sync.Mutex // held while the files of maintenance_dir are taken in, before mu
	storing   sync.Mutex // held while set is replaced; before mu

	mu      sync.Mutex
	set     override.Set
	version uint64
	next    *renaming // not nil: a reload with other names
	drains  map[config.ServerID]*drain
	over    map[override.Target]override.Clock // overrides whose end by time was noticed
	listed  bool                               // maintenance_dir was read once

	releasing bool // the time of the director's drain is up, and release has not succeeded yet; owned by Run
}

// drain is how far the drain of one real server has come.
type drain struct {
	of    override.Clock
	idle  time.Time // since when there is none; zero: there are, or they were not counted
	ended bool
	cut   bool // when it ended there were connections, or they had been cut before
}

func (o *overrides) open() {
	o.drains, o.over = map[config.ServerID]*drain{}, map[override.Target]override.Clock{}
	o.takeIn(time.Now())
}

// takeIn merges what the state file has: at the start, and later if its disk did not answer then.
func (o *overrides) takeIn(now time.Time) {
	if !o.storing.TryLock() { // what is there is being replaced
		return
	}
	defer o.storing.Unlock()
	stored := o.state.Overrides()
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.set
	set := before.Merge(stored).Prune(now.Add(-forgetAfter))
	if slices.Equal(set.All(), before.All()) {
		return
	}
	for _, one := range set.All() {
		if !one.Active(now) && !slices.Contains(before.All(), one) {
			o.over[one.Target] = one.Clock
		}
	}
	o.set = set
	o.version++
	o.carry(now)
	o.changed()
}

// Name implements task.Task.
func (o *overrides) Name() string { return "the loop of the overrides" }

// Ready is closed when the loop is running.
func (o *overrides) Ready() <-chan struct{} { return o.ready.Ready() }

// Run counts connections and looks at the time until ctx ends.
func (o *overrides) Run(ctx context.Context) error {
	o.ready.Close()
	return task.Every(ctx, countEvery, func() { o.look(time.Now()) })
}

// none reports whether a set overrides nothing.
func (o *overrides) none(set override.Set) bool { return len(set.All())+len(set.Others()) == 0 }

// subject is a real server as overrides know it.
func subject(v config.VirtualServer, r config.RealServer) (config.ServerID, override.Server) {
	return config.ServerID{Service: v.Name, Server: r.Name}, override.Server{Service: v.Name, Name: r.Name, Address: r.Address.String(), Endpoint: netip.AddrPortFrom(r.Address, r.Port).String()}
}

// adopt takes drains whose servers have no entry in the table that was found at the start for ended ones. That table may
// lack entries, and so is read completely before a drain ends by it.
func (o *overrides) adopt(cfg *config.Config, found []lvs.Service) {
	if len(o.absent(cfg, found)) == 0 {
		return
	}
	whole, err := o.whole()
	if err != nil { // the table loop reports it
		return
	}
	ended := o.absent(cfg, whole)
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, clock := range ended {
		o.drains[id] = &drain{of: clock, ended: true, cut: true}
	}
}

// absent returns the drained real servers of a file that have no entry in a table, although their service is there.
func (o *overrides) absent(cfg *config.Config, found []lvs.Service) map[config.ServerID]override.Clock {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, entries := map[config.ServerID]override.Clock{}, byKey(found)
	for id, one := range o.draining(cfg, time.Now()) {
		if c := countOf(one.service, one.server, entries); c.known && !c.present {
			all[id] = one.override.Clock
		}
	}
	return all
}

func byKey(services []lvs.Service) map[lvs.Key]lvs.Service {
	all := make(map[lvs.Key]lvs.Service, len(services))
	for _, s := range services {
		all[s.Key] = s
	}
	return all
}

// drained is a real server that is drained, in effect.
type drained struct {
	service  config.VirtualServer
	server   config.RealServer
	override override.Override
}

// draining returns the real servers of a file that are drained, whether that has ended or not. mu is held.
func (o *overrides) draining(cfg *config.Config, now time.Time) map[config.ServerID]drained {
	all := map[config.ServerID]drained{}
	if cfg == nil {
		return all
	}
	set := o.of(cfg)
	if o.none(set) {
		return all
	}
	for _, v := range cfg.VirtualServers {
		for _, r := range v.RealServers {
			id, server := subject(v, r)
			if one, ok := set.Of(server, now); ok && one.Kind == override.Drain {
				all[id] = drained{v, r, one}
			}
		}
	}
	return all
}

// counted are the entries of one real server in all services of a virtual server.
type counted struct {
	known, present   bool // the table has a service; and an entry
	open             bool // an entry takes new connections
	active, inactive int
}

func countOf(v config.VirtualServer, r config.RealServer, table map[lvs.Key]lvs.Service) (c counted) {
	at := slices.IndexFunc(v.RealServers, func(one config.RealServer) bool { return one.Name == r.Name })
	for one := range v.Services() {
		s, known := table[lvs.KeyOf(one)]
		c.known = c.known || known
		want := lvs.Server{Address: one.RealServers[at].Address, Port: one.RealServers[at].Port}.AddrPort()
		for _, entry := range s.Servers {
			if entry.AddrPort() == want {
				c.present, c.open = true, c.open || entry.TakesConnections()
				c.active += entry.ActiveConnections
				c.inactive += entry.InactiveConnections
			}
		}
	}
	return c
}

// look ends what has to end.
func (o *overrides) look(now time.Time) {
	o.takeIn(now)
	if news := o.progress(now); len(news) > 0 {
		o.changed()
		for _, e := range news {
			o.record(e)
		}
	}
	if o.releasing {
		o.releasing = !o.release()
	}
}

func (o *overrides) progress(now time.Time) []event.Event {
	cfg := o.file()
	o.mu.Lock()
	news := o.expire(now)
	all := o.draining(cfg, now)
	o.mu.Unlock()
	if waiting := o.waiting(all); len(waiting) > 0 && o.table().synced {
		table, err := o.count() // an error is the table loop's to report
		if err == nil {
			news = append(news, o.counted(waiting, table, now)...)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if cfg := o.file(); cfg != nil && len(cfg.VirtualServers) > 0 { // otherwise the start has not got to its file yet, or there is nothing to forget
		all := o.draining(cfg, now) // others may be drained since
		maps.DeleteFunc(o.drains, func(id config.ServerID, d *drain) bool { return all[id].override.Clock != d.of })
	}
	if len(news) > 0 {
		o.version++
	}
	return news
}

// waiting returns the drains that have not ended.
func (o *overrides) waiting(all map[config.ServerID]drained) map[config.ServerID]drained {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := map[config.ServerID]drained{}
	for id, one := range all {
		if d := o.drains[id]; d == nil || d.of != one.override.Clock {
			o.drains[id] = &drain{of: one.override.Clock}
			waiting[id] = one
		} else if !d.ended {
			waiting[id] = one
		}
	}
	return waiting
}

// expire returns the events of overrides whose time is up. mu is held.
func (o *overrides) expire(now time.Time) (news []event.Event) {
	for _, one := range o.set.All() {
		if one.Kind != override.Enable && !one.Active(now) && o.over[one.Target] != one.Clock {
			o.over[one.Target] = one.Clock
			o.releasing = o.releasing || one.Target.Director()
			news = append(news, event.Event{
				Kind: event.OverrideChanged, Subject: one.Target.String(), From: one.String(), Reason: fmt.Sprintf("the time that %s has set is up", one.Author),
			})
		}
	}
	return news
}

// counted takes in the numbers of connections. services is the cheap read, which may lack entries.
func (o *overrides) counted(waiting map[config.ServerID]drained, services []lvs.Service, now time.Time) (news []event.Event) {
	reached := o.table()
	table, whole := byKey(services), byKey(reached.Services)
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, one := range waiting {
		d := o.drains[id]
		if d == nil || d.of != one.override.Clock {
			continue
		}
		c, at := countOf(one.service, one.server, table), now
		unknown := false
		if !c.present {
			// Without an entry because its checks fail, its connections go on when it has one again.
			unknown = !reached.Known || o.down(id)
			c, at = countOf(one.service, one.server, whole), reached.ReadAt
		}
		if c.open { // not in the table as decided yet
			continue
		}
		if end, ended := d.count(c, unknown, at, now, one.override.Patience); ended {
			end.Subject = id.String()
			news = append(news, end)
		}
	}
	return news
}

// count takes in a number of connections, which was read at a time, and returns whether and why the drain ends. A server
// without an entry has no connections, unless that is unknown.
func (d *drain) count(c counted, unknown bool, at, now, patience time.Time) (end event.Event, ended bool) {
	switch {
	case c.active > 0 || unknown:
		d.idle = time.Time{}
	case d.idle.IsZero():
		d.idle = now
	}
	end = event.Event{Kind: event.DrainEnded}
	switch {
	case !d.idle.IsZero() && at.Sub(d.idle) >= lastPackets:
		end.To, end.Reason = "drained", "no connection is open"
	case !patience.IsZero() && !now.Before(patience) && unknown && c.active == 0:
		end.To, end.Reason = "timeout", "the time is up: how many connections are cut is not known"
	case !patience.IsZero() && !now.Before(patience):
		end.To, end.Reason = "timeout", fmt.Sprintf("the time is up: %d connections are cut", c.active)
	default:
		return end, false
	}
	d.ended, d.cut = true, end.To == "timeout"
	return end, true
}

// decisions returns what operators have decided about the real servers of files, and the version of that.
func (o *overrides) decisions(files ...*config.Config) (plan.Decisions, uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, now := plan.Decisions{}, time.Now()
	for _, cfg := range files {
		if cfg != nil {
			maps.Copy(all, o.decide(o.of(cfg), now, cfg))
		}
	}
	return all, o.version
}

// decide returns what a set of overrides decides. mu is held.
func (o *overrides) decide(set override.Set, now time.Time, files ...*config.Config) plan.Decisions {
	if o.none(set) {
		return nil
	}
	decisions := plan.Decisions{}
	for _, cfg := range files {
		if cfg == nil {
			continue
		}
		for _, v := range cfg.VirtualServers {
			for _, r := range v.RealServers {
				id, server := subject(v, r)
				if one, ok := set.Of(server, now); ok {
					decisions[id] = o.decision(id, one)
				}
			}
		}
	}
	return decisions
}

func (o *overrides) decision(id config.ServerID, one override.Override) lvs.Decision {
	switch d := o.progressOf(id, one); one.Kind {
	case override.Weight:
		return lvs.Decision{Weight: one.Weight}
	case override.Drain:
		if d == nil || d.of != one.Clock || !d.ended {
			return lvs.Decision{Admission: lvs.Closing}
		}
		if !d.cut {
			return lvs.Decision{Admission: lvs.TakenOut}
		}
	}
	return lvs.Decision{Admission: lvs.CutOff}
}

// current returns the version of the decisions.
func (o *overrides) current() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.version
}

// load returns the overrides.
func (o *overrides) load() override.Set {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.set
}

// store replaces them, first in the state file, and returns why that could not be written: nil if it was.
func (o *overrides) store(set override.Set) error {
	o.storing.Lock()
	defer o.storing.Unlock()
	err := o.state.SetOverrides(set)
	o.state.saved(err)
	o.mu.Lock()
	o.set = set.Beside(o.set.Others())
	o.version++
	o.carry(time.Now())
	o.mu.Unlock()
	o.changed()
	return err
}

// carry keeps what is known about drains that are decided once more. mu is held.
func (o *overrides) carry(now time.Time) {
	all := o.draining(o.file(), now)
	for id, d := range o.drains {
		switch one, goesOn := all[id]; {
		case goesOn && d.of == one.override.Clock:
		case goesOn && d.ended:
			d.of = one.override.Clock
		default:
			delete(o.drains, id)
		}
	}
}
