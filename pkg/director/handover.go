package director

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// peersWithin limits how long a handover waits for a reply of another director.
	peersWithin = 300 * time.Millisecond
	// lookAtHandover is how often a stop looks whether its handovers are over.
	lookAtHandover = 5 * time.Millisecond
)

// Why a stop waits for nobody any more.
var (
	errHurry     = errors.New("a second signal")
	errShutsDown = errors.New("the machine shuts down")
)

// farewell is what comes before a graceful stop, while the loops go on: the pre_stop hooks, then the handovers. A second signal
// and a shutdown of the machine end the wait for either.
func (d *Director) farewell(l *loops) {
	if len(l.instances.serving()) == 0 {
		return
	}
	patient, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		select {
		case <-d.o.Hurry:
			cancel(errHurry)
		case <-patient.Done():
		}
	}()
	go func() {
		if d.o.Kernel.ShutsDown(patient) {
			cancel(errShutsDown)
		}
	}()
	d.preStop(patient, l)
	within := d.plan.Load().Config.StopTimeout
	masters := l.instances.serving()
	if within <= 0 || len(masters) == 0 || patient.Err() != nil {
		return
	}
	ctx, end := context.WithTimeout(patient, within)
	defer end()
	alive := d.withPeers(ctx, l, masters)
	if len(alive) == 0 || ctx.Err() != nil {
		return
	}
	for _, i := range alive {
		i.actor.HandOver(vrrp.HandOver{Reason: "the director is being stopped", Resign: true})
		l.sync.peers.GiveWay(i.wanted.ID)
	}
	d.log.Info("handing over before the stop", "instances", names(alive), "stop_timeout", within.String())
	d.awaitHandovers(ctx, alive)
	l.awaitGiven(patient)
}

// awaitHandovers waits until the handovers are over.
func (d *Director) awaitHandovers(ctx context.Context, all []*instance) {
	look := time.NewTicker(lookAtHandover)
	defer look.Stop()
	seen := map[*instance]bool{}
	for {
		all = slices.DeleteFunc(all, func(i *instance) bool {
			s := i.actor.Snapshot()
			seen[i] = seen[i] || s.Handover.Done
			return !s.Handover.Pending && (s.State != vrrp.Master || seen[i])
		})
		if len(all) == 0 {
			d.log.Info("handed over")
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			switch context.Cause(ctx) {
			case errHurry:
				d.log.Warn("a second signal: not waiting for the handover", "instances", names(all))
			case errShutsDown:
				d.log.Warn("the machine shuts down: not waiting for the handover", "instances", names(all))
			default:
				d.log.Warn("the handover has not ended within stop_timeout", "instances", names(all))
			}
			return
		}
	}
}

func names(all []*instance) string {
	var out []string
	for _, i := range all {
		out = append(out, i.wanted.Config.Name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// serving returns the instances that are MASTER, or keep their VIPs for a successor.
func (s *instances) serving() (all []*instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.all {
		if s := i.actor.Snapshot(); s.State == vrrp.Master || s.Handover.Pending {
			all = append(all, &instance{wanted: i.wanted, actor: i.actor, running: i.running})
		}
	}
	return all
}

// withPeers returns the instances for which another director, or a router that was heard, replies. One of which
// that cannot be found out counts as alive: a handover then takes longer.
func (d *Director) withPeers(ctx context.Context, l *loops, all []*instance) (alive []*instance) {
	ctx, cancel := context.WithTimeout(ctx, peersWithin)
	defer cancel()
	local := l.watcher.seen.Load().addresses
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, i := range all {
		for _, peer := range d.peersOf(i) {
			asked.Go(func() {
				if !d.showsLife(ctx, local, peer) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if !slices.Contains(alive, i) {
					alive = append(alive, i)
				}
			})
		}
	}
	asked.Wait()
	return alive
}

// showsLife reports whether a machine on a network of this one answers ARP or a neighbour solicitation. One behind a router, or
// on an interface without ARP, counts as one that does.
func (d *Director) showsLife(ctx context.Context, local []kernel.Address, peer netip.Addr) bool {
	for _, a := range local {
		if plan.Leased(a) || a.Prefix.IsSingleIP() || !a.Prefix.Contains(peer) {
			continue
		}
		t := &probe.Target{Address: netip.AddrPortFrom(peer, 0), Kind: config.GatewayCheck{ARP: true}, Source: a.Prefix.Addr()}
		return d.o.Kernel.Probe(ctx, t).Class != health.Bad
	}
	return true
}

// peersOf returns the routers that may take over from an instance.
func (d *Director) peersOf(i *instance) (all []netip.Addr) {
	for _, one := range d.plan.Load().Config.Directors {
		if one.Name != d.o.Node.Name {
			all = append(all, one.Address)
		}
	}
	if t := i.wanted.Peers.Transport; t.Unicast {
		all = append(all, t.Peers...)
	}
	if heard := i.actor.Snapshot().Heard; heard.IsValid() && !heard.IsLinkLocalUnicast() {
		all = append(all, heard)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
