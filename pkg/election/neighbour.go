package election

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// sampleEvery is how often a Link looks at packets for no instance.
	sampleEvery = time.Second
	// peersNamed is how many peers of an instance the log names. There are one or two; whoever makes up more is not
	// worth a line each.
	peersNamed = 8
	// remembered is how long a packet from our own address is worth a sentence.
	remembered = time.Minute
)

// narrow tells the socket which virtual routers are ours. The kernel may take its time (a membership waits for rtnl), which
// nobody who sends must wait for.
func (l *Link) narrow() {
	l.narrowing.Lock()
	defer l.narrowing.Unlock()
	l.mu.Lock()
	socket := l.socket
	vrids := slices.Sorted(maps.Keys(l.actors))
	l.mu.Unlock()
	if socket == nil || len(vrids) == 0 {
		return
	}
	err := socket.Filter(vrids)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != socket {
		return // it was closed meanwhile; who opens the next one narrows that
	}
	if err != nil && !l.wide {
		l.log.Warn("cannot keep VRRP packets of other virtual routers out; looking at all of them", "error", err)
	}
	l.wide = err != nil
}

// sample looks at what the socket kept back, once in sampleEvery.
func (l *Link) sample(socket Socket) {
	if now := time.Since(l.epoch); now-l.sampled < sampleEvery {
		return
	}
	l.sampled = time.Since(l.epoch)
	seen, unseen := socket.Others()
	for _, d := range seen {
		l.route(d)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if unseen > 0 {
		l.received += unseen
		l.dropped[vrrp.DropFlood.String()] += unseen
		l.crowd.unseen(l.sampled, unseen)
	}
	if l.crowd.news(l.sampled) {
		if text := l.crowd.sentence(); text != "" {
			l.log.Warn("a flood of VRRP packets for no instance of ours", "problem", text)
		} else {
			l.log.Info("the flood of VRRP packets is over")
		}
	}
}

// ignore counts a datagram that the election does not hear of. A flood of them is not worth a new snapshot each.
func (a *Actor) ignore(d vrrp.Datagram, why vrrp.DropReason) {
	reason, now := why.String(), time.Since(a.epoch)
	a.dropped[reason]++
	if a.dropped[reason] == 1 {
		a.log.Warn("ignored a VRRP packet; more of this kind are only counted",
			"reason", reason, "source", d.Source.String(), "ttl", d.TTL)
	}
	if why == vrrp.DropOwnPacket {
		a.echo, a.echoed = true, now
	}
	a.crowd.add(now, 1, suspect{d.Source, a.params.VRID, reason})
	if a.dropped[reason] == 1 || now-a.published >= publishLeast {
		a.publish()
	}
}

// publishLeast is the pause between two snapshots that differ only in what was ignored.
const publishLeast = 50 * time.Millisecond

// meet names a peer in the log when it is heard for the first time.
func (a *Actor) meet(source netip.Addr, priority uint8) {
	if len(a.peers) >= peersNamed || slices.Contains(a.peers, source) {
		return
	}
	a.peers = append(a.peers, source)
	a.log.Info("heard another director", "source", source.String(), "priority", priority)
	if len(a.peers) == peersNamed {
		a.log.Warn("heard many directors; more of them are not named", "count", peersNamed)
	}
}

// neighbourhood are the parts of a Snapshot that are about others.
func (a *Actor) neighbourhood(s *Snapshot) {
	now := time.Since(a.epoch)
	a.published = now
	overflowed := a.inbox.overflow()
	a.crowd.unseen(now, overflowed-a.spilt)
	a.spilt = overflowed
	s.Flood, s.SendError, s.Source = a.crowd.sentence(), a.sendError, a.params.Source
	s.Echo = a.echo && now-a.echoed < remembered
	if s.State != vrrp.Master {
		s.Master, s.MasterPriority = a.machine.Master()
	}
}
