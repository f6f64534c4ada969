package director

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// askSilentFor is how long a silent router is asked, askSilentTimes times.
	askSilentFor   = 300 * time.Millisecond
	askSilentTimes = 3
	// askSilentMost is how many routers are asked after one look; with hundreds of instances they are the same few.
	askSilentMost = 8
)

// silentPeers finds out whether the routers are alive whose silence has made this director MASTER: after a crash of a daemon, or
// when adverts are lost, the machine still answers ARP; one that is down or cut off does not. Nothing in the election depends on it.
type silentPeers struct {
	instances func() map[config.InstanceID]*election.Snapshot
	named     func(config.InstanceID) string
	// asks asks a router on the network of an instance once. known is false if it is behind another router, or was not asked.
	asks    func(ctx context.Context, id config.InstanceID, peer netip.Addr) (answers, known bool)
	record  func(event.Event)
	changed func()
	log     *slog.Logger
	poked   chan struct{}
	ready   task.Latch

	mu  sync.Mutex // guards all
	all map[config.InstanceID]silentPeer
}

// silentPeer is what is known of a router that was silent when this director became MASTER, at since.
type silentPeer struct {
	address        netip.Addr
	since          time.Time
	answers, known bool
}

// sentence is for the reason of the instance.
func (p silentPeer) sentence() string {
	if p.answers {
		return p.address.String() + " still answers ARP: its daemon has ended, or its adverts are lost on the way"
	}
	return p.address.String() + " does not answer ARP either: that machine is down, or one of the two is cut off"
}

// newSilentPeers returns what asks silent routers.
func (d *Director) newSilentPeers(l *loops) *silentPeers {
	return &silentPeers{
		instances: l.instances.snapshots, asks: func(ctx context.Context, id config.InstanceID, peer netip.Addr) (answers, known bool) {
			i, found := d.plan.Load().Instance(id)
			return d.asksOn(ctx, i.Segment.Interface, l.watcher.seen.Load().addresses, peer, found)
		},
		named: func(id config.InstanceID) string { i, _ := d.plan.Load().Instance(id); return i.Config.Name }, record: d.o.Record,
		changed: d.problems.poke, log: d.log, poked: make(chan struct{}, 1),
	}
}

// asksOn asks a router on a network of an interface once by ARP or a neighbour solicitation. known is false if it is on none, or
// could not be asked.
func (d *Director) asksOn(ctx context.Context, iface string, addresses []kernel.Address, peer netip.Addr, wanted bool) (answers, known bool) {
	for _, a := range addresses {
		if !wanted || a.Interface != iface || plan.Leased(a) || a.Prefix.IsSingleIP() || !a.Prefix.Contains(peer) || !a.Usable() {
			continue
		}
		t := &probe.Target{Address: netip.AddrPortFrom(peer, 0), Kind: config.GatewayCheck{ARP: true}, Source: a.Prefix.Addr()}
		class := d.o.Kernel.Probe(ctx, t).Class
		return class == health.Good, class != health.Unknown
	}
	return false, false
}

// Name implements task.Task.
func (s *silentPeers) Name() string { return "the question to silent directors" }

// Ready is closed when it can ask.
func (s *silentPeers) Ready() <-chan struct{} { return s.ready.Ready() }

// poke says that the state of an instance has changed. It does not block.
func (s *silentPeers) poke() { wake(s.poked) }

// Run asks after each change of a state until ctx ends.
func (s *silentPeers) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	tick := heartbeat.NewTicker(heartbeat.Every)
	defer tick.Stop()
	s.ready.Close()
	for {
		heart.Beat()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			continue
		case <-s.poked:
			s.look(ctx)
		}
	}
}

// look asks the routers that have become silent since the last look.
func (s *silentPeers) look(ctx context.Context) {
	s.mu.Lock()
	before := s.all
	s.mu.Unlock()
	now, fresh := map[config.InstanceID]silentPeer{}, map[netip.Addr]config.InstanceID{}
	for id, a := range s.instances() {
		if !a.SilentPeer.IsValid() {
			continue
		}
		one := silentPeer{address: a.SilentPeer, since: a.Since}
		if old := before[id]; old.address == one.address && old.since.Equal(one.since) {
			one = old
		} else if _, asked := fresh[one.address]; asked || len(fresh) < askSilentMost {
			fresh[one.address] = id
		}
		now[id] = one
	}
	found := s.askAll(ctx, fresh)
	for id, one := range now {
		answer, asked := found[one.address]
		if _, wanted := fresh[one.address]; !asked || !wanted || one.known {
			continue
		}
		one.answers, one.known = answer, true
		now[id] = one
		s.tell(id, one)
	}
	s.mu.Lock()
	s.all = now
	s.mu.Unlock()
	if len(found) > 0 {
		s.changed()
	}
}

// askAll asks each of the routers, and returns which of those that could be asked answer.
func (s *silentPeers) askAll(ctx context.Context, all map[netip.Addr]config.InstanceID) map[netip.Addr]bool {
	var mu sync.Mutex
	var asked sync.WaitGroup
	found := map[netip.Addr]bool{}
	for peer, id := range all {
		asked.Go(func() {
			for range askSilentTimes {
				limit, cancel := context.WithTimeout(ctx, askSilentFor)
				answers, known := s.asks(limit, id, peer)
				cancel()
				if !known || ctx.Err() != nil {
					return
				}
				mu.Lock()
				found[peer] = answers
				mu.Unlock()
				if answers {
					return
				}
			}
		})
	}
	asked.Wait()
	return found
}

func (s *silentPeers) tell(id config.InstanceID, p silentPeer) {
	to := event.Silent
	if p.answers {
		to = event.Answers
	}
	name := s.named(id)
	s.record(event.Event{Kind: event.PeerAsked, Subject: name, To: to, Reason: p.sentence()})
	s.log.Warn("the MASTER before has become silent", "instance", name, "finding", p.sentence())
}

// found returns what is known about the routers; known instances have been asked about.
func (s *silentPeers) found() map[config.InstanceID]silentPeer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.all)
	maps.DeleteFunc(all, func(_ config.InstanceID, p silentPeer) bool { return !p.known })
	return all
}
