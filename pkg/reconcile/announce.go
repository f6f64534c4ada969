package reconcile

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// announcementsPerPass is how many announcements a pass sends, so that thousands of VIPs do not delay the renewal of their
// leases. The first announcement of a VIP is not counted: it follows a write of the VIP, which takes as long.
const announcementsPerPass = 100

// request is what the election wants announced, beside a take-over.
type request struct {
	announce  bool
	outranked bool
	hold      time.Duration // not 0: nothing before that
	ask       netip.Addr
}

// Announce requests that VIPs which are held are announced now, and repeatedly.
func (a *Addresses) Announce(instance config.InstanceID) {
	a.change(instance, func(w *desired) { w.request.announce, w.request.hold = true, 0 })
}

// Outranked reports an advert of a MASTER that should give way to this one. hold 0: it gives way. The VIPs are announced
// now, and again when it no longer answers for them. Otherwise it does not: nothing is announced until hold has passed
// without another report.
func (a *Addresses) Outranked(instance config.InstanceID, hold time.Duration) {
	a.change(instance, func(w *desired) {
		w.request.outranked, w.request.hold = hold == 0, hold
		w.request.announce = w.request.announce && hold == 0
	})
}

// Ask requests a question to the network whether another machine has a VIP that is held.
func (a *Addresses) Ask(instance config.InstanceID, vip netip.Addr) {
	a.change(instance, func(w *desired) { w.request.ask = vip })
}

// serve carries out a request, and announces what is due.
func (a *Addresses) serve(h *held, r request) {
	now := a.now()
	switch {
	case r.hold > 0:
		h.schedule.hold(now, r.hold)
	case r.outranked:
		h.schedule.outranked(now)
	case r.announce:
		h.schedule.announce(now)
	}
	if due, ok := h.announcementDue(); ok && now >= due {
		a.announce(h, now)
	}
	if r.ask.IsValid() && h.timer.added {
		a.ask(h, r.ask)
	}
}

// ask asks the network for a VIP. A question that fails changes nothing about the announcements; the election asks again.
func (a *Addresses) ask(h *held, vip netip.Addr) {
	// The answer goes to the sender's hardware address, and the claims of other machines are received on the interface below.
	iface := h.vips.On(netip.PrefixFrom(vip, vip.BitLen()))
	if iface == h.vips.Interface && h.vips.Virtual() {
		iface = h.vips.Base
	}
	err := a.announcer.Ask(iface, vip)
	text := ""
	if err != nil && !errors.Is(err, kernel.ErrNoNeighbours) {
		text = err.Error()
	}
	if text != "" && text != h.unasked {
		a.log.Warn("cannot ask the network whether another machine has a VIP; trying again", "instance", h.vips.Label(), "vip", vip.String(), "error", err)
	}
	h.unasked = text
}

// announcementDue returns when the next announcement is due; ok is false if none is.
func (h *held) announcementDue() (at time.Duration, ok bool) {
	if !h.timer.added || len(h.vips.Addresses) == 0 {
		return 0, false
	}
	return h.schedule.due()
}

// announce sends the announcements that are due, as far as the pass and the interface allow.
func (a *Addresses) announce(h *held, now time.Duration) {
	n, s := len(h.vips.Addresses), &h.schedule
	if s.repeats && a.budget == 0 || !s.begin(now, n) {
		return
	}
	for {
		vip := h.vips.Addresses[s.next]
		iface := h.vips.On(vip)
		if at, sent := a.sentOn[iface]; sent && s.paced() && a.now() < at+s.policy.Interval {
			s.rest(at + s.policy.Interval)
			return
		}
		if s.repeats {
			if a.budget == 0 {
				s.rest(a.now())
				return
			}
			a.budget--
		}
		err := a.announcer.Open(iface)
		if !a.wanted(h) {
			return // the next pass, which is due now, begins with that
		}
		if err == nil {
			err = a.announcer.Announce(iface, vip.Addr())
		}
		switch {
		case errors.Is(err, kernel.ErrNoNeighbours):
			a.untold(h, iface)
		case err != nil:
			a.unannounced(h, vip, err)
			return
		default:
			h.untold = slices.DeleteFunc(h.untold, func(had string) bool { return had == iface })
			a.log.Debug("announced a VIP", "interface", iface, "vip", vip.Addr())
		}
		a.sentOn[iface] = a.now()
		if s.sent(n) {
			break
		}
	}
	s.done(a.now())
	if h.unannounced != nil {
		h.unannounced = nil
		a.log.Info("VIPs can be announced again", "instance", h.vips.Label(), "interface", h.vips.Interface)
	}
}

// wanted reports whether the VIPs are to be held now. A pass works on copies of what was wanted when it began, and a write in the
// kernel takes time: an announcement that follows the one of another MASTER sends the clients to this machine, which removes the
// VIPs in the next pass.
func (a *Addresses) wanted(h *held) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.desired[h.vips.Instance]
	return w != nil && w.want && w.retained == 0 && w.acquisition == h.acquisition
}

// untold records that nobody can be told about the VIPs on an interface, which is no failure.
func (a *Addresses) untold(h *held, iface string) {
	if !slices.Contains(h.untold, iface) {
		h.untold = append(h.untold, iface)
		a.log.Info("VIPs are not announced, because the interface has no ARP: routes lead to them", "instance", h.vips.Label(), "interface", iface)
	}
}

// unannounced records that a VIP could not be announced.
func (a *Addresses) unannounced(h *held, vip netip.Prefix, err error) {
	if h.unannounced == nil || h.unannounced.Error() != err.Error() {
		a.log.Error("cannot announce a VIP; trying again every second", "instance", h.vips.Label(), "vip", vip.Addr().String(), "error", err)
	}
	h.unannounced, h.silent = err, vip
	h.schedule.failed(a.now(), len(h.vips.Addresses))
}
