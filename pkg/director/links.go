package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// link is an interface that carries VRRP: its socket, and what the kernel says of it.
type link struct {
	name   string
	link   *election.Link
	stop   context.CancelFunc
	done   chan struct{}
	source netip.Addr // where adverts come from; invalid when there is none
	state  string     // what is wrong with the interface; "" when nothing is
}

// fault is the sentence about what keeps this interface from serving.
func (l *link) fault() string { return l.state }

// startLinks opens a socket for every interface that cfg names and that has none. An interface that is not there is no
// error: it may come. A socket that is not permitted is.
func (d *Director) startLinks(cfg *config.Config) error {
	for _, base := range cfg.Instances {
		name := base.For(d.name).Interface
		if d.links[name] != nil {
			continue
		}
		l := &link{name: name, link: election.NewLink(name, openSocket, d.log), done: make(chan struct{})}
		if err := l.link.Open(); errors.Is(err, errSocketNotPermitted) {
			return err
		} else if err != nil {
			d.log.Warn("cannot open the VRRP socket yet", "interface", name, "error", err)
		}
		ctx, stop := context.WithCancel(context.Background())
		l.stop = stop
		d.links[name] = l
		d.loops.Go(func() {
			defer close(l.done)
			l.link.Run(ctx)
		})
		context.AfterFunc(d.ctx, stop)
	}
	return nil
}

// stopLinks closes the sockets of interfaces that cfg no longer names.
func (d *Director) stopLinks(cfg *config.Config) {
	for name, l := range d.links {
		if !slices.ContainsFunc(cfg.Instances, func(i config.Instance) bool { return i.For(d.name).Interface == name }) {
			l.stop()
			<-l.done
			delete(d.links, name)
		}
	}
}

// watch follows address and link events: a VIP that somebody deletes is put back by the address loop, a link that lost
// its carrier is a fault of its instances.
func (d *Director) watch(ctx context.Context) {
	dirty := make(chan struct{}, 1)
	d.run(func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-dirty:
				d.tell(ctx, d.refreshLinks)
			case <-time.After(lookEvery): // events can be lost; the state cannot
				d.tell(ctx, d.refreshLinks)
			}
		}
	})
	err := addr.Watch(ctx, func(e addr.Event) {
		if e.Kind == addr.AddressRemoved {
			d.addresses.Gone(e.Interface, e.Prefix)
		}
		select {
		case dirty <- struct{}{}:
		default:
		}
	})
	if err != nil && ctx.Err() == nil {
		d.log.Warn("cannot follow address and link events; looking every second instead", "error", err)
	}
}

const lookEvery = time.Second

// refreshLinks reads the links anew and tells the instances what changed.
func (d *Director) refreshLinks() {
	known, err := d.addr.Links()
	if err != nil {
		d.log.Warn("cannot list the network interfaces; keeping what is known of them", "error", err)
		return
	}
	d.refreshLocal()
	for _, l := range d.links {
		before := *l
		d.look(l, known)
		if l.state != before.state || l.source != before.source {
			l.link.Reopen()
		}
	}
	for _, i := range d.instances {
		l := d.links[i.cfg.Interface]
		if l.source.IsValid() && l.source != i.params.Source {
			i.params.Source = l.source
			i.actor.Reconfigure(i.params, advertised(i.cfg))
		}
		i.setFault(faultLink, l.fault())
	}
}

// refreshLocal reads this machine's addresses, of which probes and adverts come.
func (d *Director) refreshLocal() {
	local, err := d.addr.List("")
	if err != nil {
		d.log.Warn("cannot list the addresses; keeping what is known of them", "error", err)
		return
	}
	same := slices.EqualFunc(local, d.local, func(a, b addr.Address) bool { return a.Interface == b.Interface && a.Prefix == b.Prefix })
	d.local = local
	if !same {
		d.checker.Set(d.checks(d.cfg))
	}
}

// look updates what is known of one link.
func (d *Director) look(l *link, known []addr.Link) {
	l.state = ""
	at := slices.IndexFunc(known, func(k addr.Link) bool { return k.Name == l.name })
	switch {
	case at < 0:
		l.state = fmt.Sprintf("the interface %s does not exist", l.name)
		return
	case !known[at].Up:
		l.state = fmt.Sprintf("the interface %s is down (ip link set %s up)", l.name, l.name)
		return
	case !known[at].Carrier:
		l.state = fmt.Sprintf("the interface %s has no carrier: check its cable and switch port", l.name)
		return
	}
	source, err := d.sourceOn(l.name)
	if err != nil {
		l.state = fmt.Sprintf("the interface %s has no IPv4 address of its own to send adverts from", l.name)
		return
	}
	l.source = source
}

// sourceOn chooses where adverts come from: the director's own address when the interface has it, else the first that
// is not a VIP.
func (d *Director) sourceOn(iface string) (netip.Addr, error) {
	if slices.ContainsFunc(d.local, func(a addr.Address) bool { return a.Interface == iface && a.Prefix.Addr() == d.node.Address }) {
		return d.node.Address, nil
	}
	return d.addr.Primary(iface, isVIP(d.cfg))
}
