package reconcile

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const (
	// maxMoves is how often VIPs are moved behind the interface's own address in a row. If that did not help, the own
	// address is a secondary one (net/ipv4/devinet.c), and stays behind them.
	maxMoves = 2
	// VIPs that another process deletes contestedFrom times, each time within contestedWithin of the last, are contested.
	contestedFrom   = 3
	contestedWithin = 3 * time.Second
)

// Trouble is what the address loop cannot repair for good, about the VIPs of an instance that holds them.
type Trouble struct {
	Instance  config.InstanceID
	Interface string
	Misplaced bool // the VIPs come before the interface's own address, and moving them did not help
	Contested bool // another process keeps deleting them
	// Failed is why the kernel did not take VIP; nil if it took all. Unannounced is why VIP was not announced.
	Failed      error
	Unannounced error
	VIP         netip.Prefix
	// Untold: Interface has no ARP by which the VIPs could be announced. That is how it is, and no problem.
	Untold bool
}

// Troubles returns the troubles of the last pass, and the failures of the last seconds, by instance.
func (a *Addresses) Troubles() []Trouble {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Concat(a.troubles, a.failing())
	slices.SortStableFunc(all, func(a, b Trouble) int { return cmp.Compare(a.Instance, b.Instance) })
	return all
}

func (a *Addresses) publishTroubles() {
	var all []Trouble
	for name, h := range a.held {
		t := Trouble{Instance: name, Interface: h.vips.Interface, Misplaced: h.stuck, Contested: h.contested(a.now())}
		if t.Misplaced || t.Contested {
			all = append(all, t)
		}
		if h.unannounced != nil {
			all = append(all, Trouble{Instance: name, Interface: h.vips.On(h.silent), Unannounced: h.unannounced, VIP: h.silent})
		}
		for _, iface := range h.untold {
			all = append(all, Trouble{Instance: name, Interface: iface, Untold: true})
		}
	}
	slices.SortStableFunc(all, func(a, b Trouble) int { return cmp.Compare(a.Instance, b.Instance) })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.troubles = all
}

// restored records a repair after a deletion by another process.
func (h *held) restored(now time.Duration) {
	if h.misplaced {
		return
	}
	if now-h.deleted >= contestedWithin {
		h.deletions = 0
	}
	h.deletions, h.deleted = h.deletions+1, now
}

func (h *held) contested(now time.Duration) bool {
	return h.deletions >= contestedFrom && now-h.deleted < contestedWithin
}
