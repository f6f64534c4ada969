package election

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// sampleEvery is how often a Link samples packets that are for no instance; sometimes it does after three quarters of that.
	sampleEvery = time.Second
	// peersNamed is how many peers of an instance are logged. Normally there are one or two; forged source addresses
	// must not fill the log.
	peersNamed = 8
)

// setFilter tells the socket which virtual routers are ours and where their adverts are sent. The kernel may block (a
// group membership waits for rtnl), and Send must not wait for that.
func (l *Link) setFilter() {
	l.filtering.Lock()
	defer l.filtering.Unlock()
	l.mu.Lock()
	socket := l.socket
	vrids := slices.Sorted(maps.Keys(l.actors))
	groups, needed, leastTTL := l.reception()
	l.mu.Unlock()
	if socket == nil || len(vrids) == 0 {
		return
	}
	deaf := ""
	if err := socket.Join(groups); err != nil && needed {
		deaf = err.Error()
	}
	err := socket.Filter(vrids, leastTTL)
	l.passClaims(socket) // it watches the VIPs from now on
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != socket {
		return // closed in the meantime; Open sets the filter of the next one
	}
	if err != nil && !l.wide {
		l.log.Warn("cannot filter out VRRP packets of other virtual routers; processing all of them", "error", err)
	}
	l.wide = err != nil
	if deaf != l.deaf {
		l.deaf = deaf
		if deaf != "" {
			l.log.Error("cannot receive adverts by multicast; trying again every second", "error", deaf)
		} else {
			l.log.Info("adverts can be received by multicast")
		}
	}
}

// reception returns the groups of the instances, whether one of them is needed, and the least TTL that an instance
// accepts. An instance that uses unicast listens to the group of its family as well, if the interface allows it: a director
// whose file still says multicast must not be taken for dead.
func (l *Link) reception() (groups []netip.Addr, needed bool, leastTTL uint8) {
	leastTTL = vrrp.TTL
	for _, a := range l.actors {
		t := a.transport()
		if group := t.GroupOf(l.on.Family); !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
		needed = needed || !t.Unicast
		leastTTL = min(leastTTL, t.AcceptedTTL())
	}
	slices.SortFunc(groups, netip.Addr.Compare)
	return groups, needed, leastTTL
}

// sample counts the packets that the socket filtered out, once every sampleEvery.
func (l *Link) sample(socket Socket) {
	if now := time.Since(l.epoch); now-l.sampled < sampleEvery*3/4 { // Run wakes once a second at least, and sometimes a little early
		return
	}
	l.sampled = time.Since(l.epoch)
	l.mu.Lock()
	deaf := l.deaf != ""
	l.burst = l.gatherFor()
	l.mu.Unlock()
	if deaf {
		l.setFilter()
	}
	l.passClaims(socket)
	seen, unseen := socket.Others()
	at := &moment{}
	for _, d := range seen {
		l.route(d, at)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if unseen > 0 {
		l.received += unseen
		l.dropped[vrrp.DropFlood.String()] += unseen
		l.floodMeter.unseen(l.sampled, unseen)
	}
	if l.floodMeter.changed(l.sampled) {
		if text := l.floodMeter.sentence(); text != "" {
			l.log.Warn("a flood of VRRP packets for no instance of ours", "problem", text)
		} else {
			l.log.Info("the flood of VRRP packets is over")
		}
	}
}

// Claims implements Wire. Hundreds of instances that are preempted together each ask; what is read is passed to all of them.
func (l *Link) Claims() {
	l.mu.Lock()
	socket, now := l.socket, time.Since(l.epoch)
	soon := l.claimed > 0 && now-l.claimed < claimsEvery
	if !soon {
		l.claimed = now
	}
	l.mu.Unlock()
	if socket != nil && !soon {
		l.passClaims(socket)
	}
}

// passClaims passes the claims of other machines to VIPs of the instances to these.
func (l *Link) passClaims(socket Socket) {
	l.mu.Lock()
	actors := slices.Collect(maps.Values(l.actors))
	l.mu.Unlock()
	vips := make([]netip.Addr, 0, len(actors))
	for _, a := range actors {
		vips = append(vips, a.vips()...)
	}
	slices.SortFunc(vips, netip.Addr.Compare) // the socket compares them with those of the last call
	l.claiming.Lock()
	claims, last := socket.Claims(vips), l.unclaimed
	now := time.Now()
	l.unclaimed = now
	l.claiming.Unlock()
	for i := range claims { // the wall clock may have been set; what is older was read by the last call, unless more than it reads were waiting
		claims[i].Age = min(claims[i].Age, now.Sub(last))
	}
	for _, a := range actors {
		if slices.ContainsFunc(claims, func(c kernel.Claim) bool { return a.lists([]netip.Addr{c.Address}) }) {
			a.Claimed(claims, now)
		}
	}
}

// lookAround reports what is wrong with the other routers. When another one has stopped holding our VIPs, and the election
// has not dealt with it because it heard nothing or refused what it heard, clients may still send to it.
func (a *Actor) lookAround(s *Snapshot) {
	now, view := a.now(), vrrp.View{Params: a.params, State: s.State, Since: a.machine.Since(), Peers: a.peers}
	contested := a.sightings.Contested(now, view)
	if a.contested && !contested && s.State == vrrp.Master {
		a.log.Info("no other machine holds the VIPs any more; announcing them again")
		a.holder.Announce(a.id)
	}
	a.contested = contested
	if s.State != vrrp.Master {
		a.claims.Forget() // a BACKUP hears the announcements of the MASTER
	} else if a.machine.HandingOver() {
		a.claims.Forget()
	} else if vip, due := a.inquiry.Due(now, view.Since, a.checkEvery, a.vips(), &a.claims); due {
		a.holder.Ask(a.id, vip)
	}
	s.Neighbours = append(a.sightings.Report(now, view), a.claims.Report(now)...)
}

// Claimed passes the instance claims of other machines to addresses, whose ages are those of a certain time. It does not block:
// the next claim has the same effect as one that is lost.
func (a *Actor) Claimed(all []kernel.Claim, read time.Time) {
	select {
	case a.commands <- func(a *Actor) { a.claimed(all, read) }:
	default:
	}
}

// claimed announces the VIPs again if another machine claims one of them, unless another MASTER is heard: that one
// announces them as well, and the clients would change sides each time. Those that arrived before the instance became MASTER do not
// count, since they are of the MASTER before it: they wait in the socket until the link reads them.
func (a *Actor) claimed(all []kernel.Claim, read time.Time) {
	now := a.now() - time.Since(read)
	counts := slices.DeleteFunc(slices.Clone(all), func(c kernel.Claim) bool {
		return now-c.Age < a.promoted || !a.lists([]netip.Addr{c.Address})
	})
	if len(counts) == 0 || a.noteSuccessor(counts, now) || a.machine.State() != vrrp.Master {
		return
	}
	for _, c := range counts {
		if a.claims.Note(a.now(), c.Address, c.HardwareAddr) {
			a.log.Warn("another machine claims a VIP; announcing the VIPs again", "vip", c.Address.String(), "hardware_address", c.HardwareAddr)
		}
	}
	if !a.contested && a.claims.Defend(a.now()) {
		a.holder.Announce(a.id)
	}
	a.publish()
}

// vips returns the VIPs of the instance. It may be called from any goroutine.
func (a *Actor) vips() []netip.Addr {
	if all := a.claimable.Load(); all != nil {
		return *all
	}
	return nil
}

// transport returns how the adverts of the instance travel. It may be called from any goroutine.
func (a *Actor) transport() vrrp.Transport {
	if t := a.carried.Load(); t != nil {
		return *t
	}
	return vrrp.Transport{}
}

// lists reports whether the instance has one of the addresses. It may be called from any goroutine.
func (a *Actor) lists(addresses []netip.Addr) bool {
	own := a.vips()
	return slices.ContainsFunc(addresses, func(one netip.Addr) bool { return slices.Contains(own, one) })
}

// ignore counts a datagram that is not passed to the election. In a flood, not every one of them publishes a new
// snapshot.
func (a *Actor) ignore(d vrrp.Datagram, why vrrp.DropReason) {
	reason, now := why.String(), time.Since(a.epoch)
	a.dropped[reason]++
	a.log.Debug("ignored a VRRP packet", "reason", reason, "source", d.Source, "ttl", d.TTL, "length", len(d.Payload))
	if a.dropped[reason] == 1 {
		a.log.Warn("ignored a VRRP packet; more of this kind are only counted",
			"reason", reason, "source", d.Source.String(), "ttl", d.TTL)
	}
	if why == vrrp.DropOwnPacket {
		a.echo, a.echoed = true, now
	}
	a.floodMeter.add(now, 1, suspect{d.Source, a.params.VRID, reason})
	if a.dropped[reason] == 1 || now-a.published >= publishMin {
		a.publish()
	}
}

// refuse counts an advert that is not obeyed but is evidence of a living router: the step that follows publishes it.
func (a *Actor) refuse(d vrrp.Datagram, h vrrp.Heard) {
	reason := h.Drop.String()
	a.dropped[reason]++
	a.log.Debug("refused an advert", "reason", reason, "source", d.Source, "priority", h.Packet.Priority, "interval", h.Packet.Interval)
	if a.dropped[reason] == 1 {
		a.log.Warn("refused an advert, whose sender counts as alive; more of this kind are only counted",
			"reason", reason, "source", d.Source.String(), "priority", h.Packet.Priority)
	}
	a.floodMeter.add(time.Since(a.epoch), 1, suspect{d.Source, a.params.VRID, reason})
}

// publishMin is the minimum pause between two snapshots that differ only in the count of ignored packets.
const publishMin = 50 * time.Millisecond

// logPeer logs a peer when its first advert is received.
func (a *Actor) logPeer(source netip.Addr, priority uint8) {
	if len(a.logged) >= peersNamed || slices.Contains(a.logged, source) {
		return
	}
	a.logged = append(a.logged, source)
	a.log.Info("received the first advert of another director", "source", source.String(), "priority", priority)
	if len(a.logged) == peersNamed {
		a.log.Warn("received adverts of many directors; further ones are not logged", "count", peersNamed)
	}
}

// addNeighbours fills in the parts of a Snapshot that concern other hosts.
func (a *Actor) addNeighbours(s *Snapshot) {
	now := time.Since(a.epoch)
	a.published = now
	overflowed := a.inbox.overflow()
	a.floodMeter.unseen(now, overflowed-a.spilt)
	a.spilt = overflowed
	s.Flood, s.SendError, s.Source = a.floodMeter.sentence(), a.sendError, a.params.Source
	s.UnicastPeers = a.peersHeard()
	s.Echo = a.echo && now-a.echoed < recentFor(a.params.AdvertInterval)
	a.lookAround(s)
	if s.State != vrrp.Master {
		s.Master, s.MasterPriority = a.machine.Master()
	}
}
