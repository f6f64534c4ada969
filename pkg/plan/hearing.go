package plan

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// targetsMost is how many machines are asked for an answer. One that answers is enough.
const targetsMost = 8

// Hearing is how to find out whether the link of a segment works that has come up.
type Hearing struct {
	// Delays are for how long its instances wait with becoming MASTER until another machine is heard.
	Delays  map[config.InstanceID]time.Duration
	Source  netip.Addr // of questions; invalid if the link has none
	Targets []netip.Addr
}

// Hearing returns how to find out whether the link of a segment works; wanted is false if no instance waits for that.
func (p Plan) Hearing(on vrrp.Segment) (h Hearing, wanted bool) {
	h = Hearing{Delays: map[config.InstanceID]time.Duration{}, Source: p.Link(on).Source}
	var peers []netip.Addr
	for _, i := range p.Config.Instances {
		if segmentOf(i) == on && i.DeafDelay > 0 {
			h.Delays[i.ID()] = i.DeafDelay
			peers = append(peers, i.Transport.Peers.Addresses...)
		}
	}
	for _, d := range p.Config.Directors {
		if d.Name != p.Node.Name {
			h.aim(d.Address)
		}
	}
	for _, peer := range peers {
		h.aim(peer)
	}
	for _, v := range p.Config.VirtualServers {
		for _, r := range v.RealServers {
			h.aim(r.Address)
		}
	}
	return h, len(h.Delays) > 0
}

// aim adds a target, of either family: what is not on the link does not answer.
func (h *Hearing) aim(target netip.Addr) {
	target = target.Unmap()
	if len(h.Targets) < targetsMost && target.IsValid() && target != h.Source && !slices.Contains(h.Targets, target) {
		h.Targets = append(h.Targets, target)
	}
}
