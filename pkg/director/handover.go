package director

import (
	"context"
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
	// peersWithin limits how long a handover waits for a sign of life of another director.
	peersWithin = 300 * time.Millisecond
	// lookAtHandover is how often a stop looks whether its handovers are over.
	lookAtHandover = 5 * time.Millisecond
)

// farewell is what comes before a graceful stop, while the loops go on: the pre_stop hooks, then the handovers. hurry ends
// the handovers.
func (d *Director) farewell(l *loops) {
	d.preStop(l)
	within := d.plan.Load().Config.StopTimeout
	masters := l.instances.serving()
	if within <= 0 || len(masters) == 0 || d.hurried() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var begun []*instance
	for _, i := range d.withPeers(ctx, l, masters) {
		i.actor.HandOver("the director is being stopped")
		begun = append(begun, i)
	}
	if len(begun) == 0 {
		return
	}
	d.log.Info("handing over before the stop", "instances", names(begun), "stop_timeout", within.String())
	stops := make(chan struct{})
	go func() {
		if d.o.Kernel.ShutsDown(ctx) {
			close(stops)
		}
	}()
	d.awaitHandovers(ctx, begun, stops)
}

// hurried reports whether a stop must not wait: there was a second signal.
func (d *Director) hurried() bool {
	select {
	case <-d.o.Hurry:
		return true
	default:
		return false
	}
}

// awaitHandovers waits until the handovers are over.
func (d *Director) awaitHandovers(ctx context.Context, all []*instance, stops <-chan struct{}) {
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
		case <-d.o.Hurry:
			d.log.Warn("a second signal: not waiting for the handover", "instances", names(all))
			return
		case <-stops:
			d.log.Warn("the machine shuts down: not waiting for the handover", "instances", names(all))
			return
		case <-ctx.Done():
			d.log.Warn("the handover has not ended within stop_timeout", "instances", names(all))
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

// serving returns the instances that are MASTER.
func (s *instances) serving() (all []*instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.all {
		if i.actor.Snapshot().State == vrrp.Master {
			all = append(all, &instance{wanted: i.wanted, actor: i.actor, running: i.running})
		}
	}
	return all
}

// withPeers returns the instances for which another director, or a router that was heard, gives a sign of life. One of which
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
		t := probe.Target{Address: netip.AddrPortFrom(peer, 0), Kind: config.GatewayCheck{ARP: true}, Source: a.Prefix.Addr()}
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
