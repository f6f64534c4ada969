package director

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel/clock"
	"github.com/lvs-director/lvs-director/pkg/pulse"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// instance is a VRRP instance at work.
type instance struct {
	cfg    config.Instance // resolved for this node
	params vrrp.Params
	actor  *election.Actor
	pulse  *pulse.Pulse
	stop   context.CancelFunc
	done   chan struct{}
	faults map[fault]string // why it cannot serve
}

func params(i config.Instance, source netip.Addr) vrrp.Params {
	return vrrp.Params{
		VRID: i.VRID, Version: i.ProtocolVersion, Priority: i.Priority, AdvertInterval: i.AdvertInterval,
		Preempt: i.Preempt, PreemptDelay: i.PreemptDelay, Source: source,
	}
}

func advertised(i config.Instance) []netip.Addr {
	all := make([]netip.Addr, len(i.VirtualAddresses))
	for n, p := range i.VirtualAddresses {
		all[n] = p.Addr()
	}
	return all
}

// startInstances starts every instance of cfg that does not run yet.
func (d *Director) startInstances(cfg *config.Config) {
	for _, base := range cfg.Instances {
		if d.instances[base.Name] == nil {
			d.startInstance(base.For(d.name))
		}
	}
}

func (d *Director) startInstance(cfg config.Instance) {
	link := d.links[cfg.Interface]
	source, reason := link.source, link.fault()
	i := &instance{cfg: cfg, params: params(cfg, source), done: make(chan struct{}), faults: map[fault]string{}}
	i.pulse = d.pulses.Start(electionOf(cfg.Name))
	i.actor = election.New(election.Options{
		Name: config.InstanceID(cfg.Name), Params: i.params, Addresses: advertised(cfg), Wire: link.link, Holder: d.addresses, Log: d.log,
		Suspended: clock.Suspended, Pulse: i.pulse,
	})
	link.link.Attach(cfg.VRID, i.actor)
	if reason != "" {
		i.faults[fault{}] = reason
	}
	for _, name := range cfg.Tracks {
		if reason := d.trackFault(name); reason != "" {
			i.faults[fault{config.TrackID(name)}] = reason
		}
	}
	if reason := i.fault(); reason != "" {
		i.actor.Tell(vrrp.Faulted{Reason: reason})
	}
	if !d.ready {
		i.actor.Tell(vrrp.NotReady{Reason: "the first health checks are not done"})
	}
	ctx, stop := context.WithCancel(context.Background())
	i.stop = stop
	d.instances[cfg.Name] = i
	go func() {
		defer close(i.done)
		i.actor.Run(ctx)
	}()
}

// stopInstance resigns and waits until the election has said its last word.
func (d *Director) stopInstance(i *instance) {
	i.stop()
	<-i.done
	if link := d.links[i.cfg.Interface]; link != nil {
		link.link.Attach(i.cfg.VRID, nil)
	}
	delete(d.instances, i.cfg.Name)
}

// stopInstances stops all at once, so that none waits for another's farewell.
func (d *Director) stopInstances() {
	for _, i := range d.instances {
		i.stop()
	}
	for _, i := range slices.Collect(maps.Values(d.instances)) {
		d.stopInstance(i)
	}
}

// fault is something that keeps an instance from serving: a track that is down, or, without one, its interface.
type fault struct{ track config.TrackID }

// fault is the sentence about everything that is wrong, "" when nothing is.
func (i *instance) fault() string {
	reasons := make([]string, 0, len(i.faults))
	byTrack := func(a, b fault) int { return cmp.Compare(a.track, b.track) } // the interface first
	for _, who := range slices.SortedFunc(maps.Keys(i.faults), byTrack) {
		reasons = append(reasons, i.faults[who])
	}
	return strings.Join(reasons, "; ")
}

// setFault takes note of what who says, "" for all is well, and tells the election if that changes anything.
func (i *instance) setFault(who fault, reason string) {
	before := i.fault()
	if reason == "" {
		delete(i.faults, who)
	} else {
		i.faults[who] = reason
	}
	switch after := i.fault(); {
	case after == before:
	case after == "":
		i.actor.Tell(vrrp.Recover{})
	default:
		i.actor.Tell(vrrp.Faulted{Reason: after})
	}
}

// leaseLost is called by the address loop. It goes straight to the election, past the director's own goroutine.
func (d *Director) leaseLost(name config.InstanceID, reason string) {
	for _, i := range d.view.load().instances {
		if i.cfg.Name == string(name) {
			i.actor.Tell(vrrp.Lost{Reason: reason})
		}
	}
}
