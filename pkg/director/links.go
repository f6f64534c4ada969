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
	"github.com/lvs-director/lvs-director/pkg/kernel"
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
	device addr.Link  // as last seen; the zero value when it was not there
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
		l := &link{
			name: name, link: election.NewLink(name, openSocket, d.log), done: make(chan struct{}),
			state: fmt.Sprintf("the interface %s has not been looked at yet", name),
		}
		if err := l.link.Open(); errors.Is(err, kernel.ErrNotPermitted) {
			return err
		} else if err != nil {
			d.log.Warn("cannot open the VRRP socket yet", "interface", name, "error", err)
		}
		l.link.Pulse = d.pulses.Start("the VRRP socket of " + name)
		ctx, stop := context.WithCancel(d.ctx)
		l.stop = stop
		d.links[name] = l
		d.loops.Go(func() {
			defer close(l.done)
			l.link.Run(ctx)
		})
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
		look := time.NewTicker(lookEvery) // events can be lost; the state cannot
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-dirty:
				d.tell(ctx, d.refreshLinks)
			case <-look.C:
				d.tell(ctx, d.refreshLinks)
			}
		}
	})
	d.run(d.keepLedger)
	d.sysctls.Pulse = d.pulses.Start("the sysctl keeper")
	d.run(func(ctx context.Context) { _ = d.sysctls.Run(ctx) })
	err := addr.Watch(ctx, func(e addr.Event) {
		if e.Kind == addr.AddressRemoved && e.Asked { // a lease that ended is the election's affair, and may be old news
			d.addresses.Gone(e.Interface, e.Prefix)
		}
		if d.renewal(e) {
			return
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

// renewal says whether an event is only of our own doing: a lease that goes on. Twenty instances of fifty VIPs make
// hundreds of them a second, and each would be a reason to read all addresses.
func (d *Director) renewal(e addr.Event) bool {
	if e.Kind != addr.AddressAdded || e.Valid == 0 {
		return false
	}
	for _, i := range d.view.load().instances {
		if i.cfg.Interface == e.Interface && slices.Contains(i.cfg.VirtualAddresses, e.Prefix) {
			return true
		}
	}
	return false
}

// refreshLinks reads the links anew and tells the instances what changed.
func (d *Director) refreshLinks() {
	known, err := d.addr.Links()
	if err != nil {
		d.log.Warn("cannot list the network interfaces; keeping what is known of them", "error", err)
		return
	}
	d.refreshLocal()
	d.sysctls.Follow(known)
	source := d.sources()
	for _, l := range d.links {
		before := *l
		l.device = deviceNamed(l.name, known)
		l.state, l.source = examine(l.name, known, source(l.name))
		if !l.source.IsValid() {
			l.source = before.source
		}
		if l.state != before.state || l.source != before.source || l.device.Index != before.device.Index {
			l.link.Reopen()
		}
		d.announceFrom(l, before.device)
	}
	for _, i := range d.instances {
		l := d.links[i.cfg.Interface]
		if l.source.IsValid() && l.source != i.params.Source {
			i.params.Source = l.source
			i.actor.Reconfigure(i.params, advertised(i.cfg))
		}
		if i.faults[fault{}] != "" && l.fault() == "" {
			d.awaitServerAgain()
		}
		i.setFault(fault{}, l.fault())
	}
}

// refreshLocal reads this machine's addresses, of which probes and adverts come, and reports VIPs that are gone: the event
// that said so may be lost.
func (d *Director) refreshLocal() {
	looked := time.Now()
	local, err := d.addr.List("")
	if err != nil {
		d.log.Warn("cannot list the addresses; keeping what is known of them", "error", err)
		return
	}
	before := d.local
	d.local = local
	for _, at := range missing(d.vips(d.cfg), local) {
		d.addresses.Missed(at.Interface, at.Prefix, looked)
	}
	vip := isVIP(d.cfg)
	for _, at := range misplaced(local, vip) {
		d.addresses.Misplaced(at.Interface, at.Prefix, looked)
	}
	if !slices.Equal(places(before, vip), places(local, vip)) {
		d.checker.Set(d.checks(d.cfg))
	}
}

// places are the addresses that are no VIP.
func places(local []addr.Address, vip func(netip.Addr) bool) []kernel.IfAddr {
	var all []kernel.IfAddr
	for _, a := range local {
		if !vip(a.Prefix.Addr()) {
			all = append(all, a.IfAddr())
		}
	}
	return all
}

func deviceNamed(name string, known []addr.Link) addr.Link {
	if at := slices.IndexFunc(known, func(k addr.Link) bool { return k.Name == name }); at >= 0 {
		return known[at]
	}
	return addr.Link{}
}

// announceFrom tells the neighbours where the VIPs are now when the hardware address behind them is another one. The
// kernel itself does so only where arp_notify is set (Documentation/networking/ip-sysctl.rst).
func (d *Director) announceFrom(l *link, before addr.Link) {
	if before.Index != l.device.Index || before.HardwareAddr == l.device.HardwareAddr {
		return // a new interface gets its VIPs anew
	}
	d.log.Info("the interface has another hardware address; its VIPs are announced again", "interface", l.name,
		"from", before.HardwareAddr, "to", l.device.HardwareAddr)
	for _, i := range d.instances {
		if i.cfg.Interface == l.name {
			d.addresses.Announce(config.InstanceID(i.cfg.Name))
		}
	}
}

// examine says what is wrong with an interface, "" when nothing is, and where its adverts come from; source is its own
// address, if it has one.
func examine(name string, known []addr.Link, source netip.Addr) (fault string, from netip.Addr) {
	at := slices.IndexFunc(known, func(k addr.Link) bool { return k.Name == name })
	switch {
	case at < 0:
		fault = fmt.Sprintf("the interface %s does not exist", name)
	case !known[at].Up:
		fault = fmt.Sprintf("the interface %s is down (ip link set %s up)", name, name)
	case !known[at].Carrier:
		fault = fmt.Sprintf("the interface %s has no carrier: check its cable and switch port", name)
	case !source.IsValid():
		fault = fmt.Sprintf("the interface %s has no IPv4 address of its own to send adverts from", name)
	default:
		return "", source
	}
	return fault, netip.Addr{}
}

// sources says where the adverts of an interface come from: the director's own address when the interface has it, else
// its first IPv4 address that is not a VIP; invalid when there is none.
func (d *Director) sources() func(iface string) netip.Addr {
	vip := isVIP(d.cfg)
	return func(iface string) (found netip.Addr) {
		for _, a := range d.local {
			ip := a.Prefix.Addr()
			switch {
			case a.Interface != iface:
			case ip == d.node.Address:
				return ip
			case !found.IsValid() && ip.Is4() && a.Global && !vip(ip):
				found = ip
			}
		}
		return found
	}
}
