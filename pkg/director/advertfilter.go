package director

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// deaf returns the instances that do not hear other directors because the packet filter of this host drops their adverts.
func (m *answerMonitor) deaf(ctx context.Context, p plan.Plan, l layout) []problem.Finding {
	if len(p.Config.Directors) < 2 {
		return nil
	}
	read := m.reading(ctx)
	var all []problem.Finding
	for _, i := range p.Instances {
		if !i.Params.Source.IsValid() {
			continue
		}
		rules, err := read(i.Segment.Family)
		if err != nil || len(rules.Bases) == 0 {
			continue
		}
		for _, advert := range adverts(i, l) {
			verdict := rules.Judge(advert)
			if verdict.Outcome != firewall.Blocked {
				continue
			}
			from := "other directors"
			if advert.From.Addr().IsValid() {
				from = advert.From.Addr().String()
			}
			all = append(all, problem.Finding{
				Code: problem.AdvertsBlocked, Subject: i.Config.Name, Remedy: rules.Remedy(advert, verdict),
				Text: fmt.Sprintf("%s: the packet filter of this host drops the adverts of %s: %s", i.Config.Name, from, verdict.Why),
			})
			break
		}
	}
	return all
}

// adverts returns the adverts of an instance that may arrive. Their source is not known if no other director has an address
// in a network of the interface.
func adverts(i plan.Instance, l layout) []firewall.Packet {
	one := firewall.Packet{
		Way: firewall.Incoming, In: i.Segment.Interface, Protocol: "vrrp", Later: "NEW", // nothing answers them
		To: netip.AddrPortFrom(i.Peers.Transport.GroupOf(i.Segment.Family), 0),
	}
	sources := i.Peers.Directors
	if i.Peers.Transport.Unicast {
		one.To, sources = netip.AddrPortFrom(i.Params.Source, 0), i.Peers.Transport.Peers
	}
	if _, own := i.Config.VirtualLink(); own {
		one.In = ""
	}
	var all []firewall.Packet
	for _, from := range sources {
		if kernel.FamilyOf(from) == i.Segment.Family && (i.Peers.Transport.Unicast || l.inside(from) == i.Segment.Interface) {
			one.From = netip.AddrPortFrom(from, 0)
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		all = append(all, one)
	}
	return all
}
