package election

import (
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// claimsEvery is how often an instance that keeps its VIPs for a successor looks for the announcements of that one.
const claimsEvery = 5 * time.Millisecond

// earlyMost is how long before the first advert of a successor that counts its announcements may arrive: a director that starts sends
// adverts as soon as it is MASTER, and some of them may be lost or refused.
const earlyMost = time.Second

// Handover is the part of an instance in a planned handover.
type Handover struct {
	// Pending: this director is MASTER and hands over, or keeps the VIPs until its successor has announced them.
	Pending bool
	// Done: it has handed over, or does so, since Since, and preempts nobody.
	Done  bool
	Since time.Time
}

// HandOver lets an instance that is MASTER hand over to another director, with all of its sync group; see vrrp.HandOver.
func (a *Actor) HandOver(h vrrp.HandOver) { a.Tell(h) }

// TakeBack ends a handover: the instance takes part in the election as before.
func (a *Actor) TakeBack() { a.Tell(vrrp.TakeBack{}) }

// handover returns the state of a handover.
func (a *Actor) handover() Handover {
	h := Handover{Pending: a.machine.HandingOver() || a.machine.Retains()}
	var since time.Duration
	if since, h.Done = a.machine.HandedOver(); h.Done {
		h.Since = time.Now().Add(since - a.now())
	}
	return h
}

// noteSuccessor notes which VIPs other machines claim while this one holds them: they are the announcements of the successor,
// which may arrive before its first advert counts. Their ages are those of now. It reports whether the VIPs are being handed over: then
// they are not defended.
func (a *Actor) noteSuccessor(all []kernel.Claim, now time.Duration) bool {
	gives := a.machine.HandingOver() || a.machine.Retains()
	if !gives && a.machine.State() != vrrp.Master {
		a.succeeded = nil
		return false
	}
	if a.succeeded == nil {
		a.succeeded = map[netip.Addr]time.Duration{}
	}
	for _, c := range all {
		a.succeeded[c.Address] = max(a.succeeded[c.Address], now-c.Age)
	}
	return gives
}

// lookForSuccessor asks the link for claims while the VIPs are kept for a successor, and ends that when all are claimed. Claims
// up to earlyMost before its first advert count.
func (a *Actor) lookForSuccessor() {
	if !a.machine.Retains() {
		return
	}
	for _, vip := range a.vips() {
		if at, claimed := a.succeeded[vip]; !claimed || at < max(a.machine.Since()-earlyMost, a.promoted) {
			a.wire.Claims() // they come as a command
			return
		}
	}
	a.log.Info("the successor has announced all VIPs; removing them")
	a.step(vrrp.Succeeded{})
}
