package election

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// follow processes a datagram in the goroutine of its caller, so that the adverts that a BACKUP receives do not each wake
// Run. It does so only if the machine can at most change its timer: in BACKUP, before the timer has expired, no event of a
// datagram has actions. It does not block, and returns false if the datagram must go to the inbox.
func (a *Actor) follow(d vrrp.Datagram, at *moment) bool {
	if !a.tryLock() {
		return false // Run is busy, and takes it from the inbox
	}
	defer a.unlock()
	a.asleep = at.suspended(a) - a.slept
	due, running := a.machine.Deadline()
	if a.machine.State() != vrrp.Backup || !running || a.now() >= due || !a.inbox.pass(time.Since(a.epoch), d.Source) {
		return false
	}
	a.receive(d)
	if due, _ = a.machine.Deadline(); due-a.asleep < a.armed {
		a.inbox.rouse() // the timer of Run is too late: the MASTER has resigned
	}
	return true
}

// classified is a datagram with its meaning. The adverts of a MASTER are all the same, so that the last one is kept. The zero
// value has none.
type classified struct {
	datagram vrrp.Datagram
	heard    vrrp.Heard
	advert   vrrp.Event // the vrrp.Advert of it; also shared by the records of all Steps
}

// moment is when a batch of datagrams is read. The zero value is one that no actor has asked yet.
type moment struct {
	asked bool
	slept time.Duration
}

// suspended returns for how long the host had been suspended, which is read once for all datagrams of the batch.
func (m *moment) suspended(a *Actor) time.Duration {
	if !m.asked {
		m.asked, m.slept = true, a.suspended()
	}
	return m.slept
}

// remembers reports whether the datagram is the same as the last one that was obeyed.
func (a *Actor) remembers(d vrrp.Datagram) bool {
	k := &a.known
	return k.advert != nil && k.datagram.Source == d.Source && k.datagram.Destination == d.Destination && k.datagram.TTL == d.TTL &&
		bytes.Equal(k.datagram.Payload, d.Payload)
}

// classify returns the meaning of a datagram, and the VIPs with which it was compared.
func (a *Actor) classify(d vrrp.Datagram) (h vrrp.Heard, advert vrrp.Event, vips []netip.Addr) {
	if a.remembers(d) {
		return a.known.heard, a.known.advert, a.addresses
	}
	vips = a.addresses
	ours := len(d.Payload) > 1 && d.Payload[1] == a.params.VRID
	if !ours && len(d.Payload) > 1 { // another virtual router: it may hold excluded ones, too
		vips = a.vips()
	}
	h = vrrp.Classify(d, a.params, vips, a.peers)
	advert = vrrp.Advert{Source: d.Source, Priority: h.Packet.Priority, Interval: h.Packet.Interval}
	if ours && h.Standing == vrrp.Obeyed {
		d.Payload = bytes.Clone(d.Payload)
		a.known = classified{d, h, advert}
	}
	return h, advert, vips
}
