package director

import (
	"fmt"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/plan"
)

// alone refuses a start beside another VRRP daemon of this network namespace, such as keepalived, that holds one of our
// VIPs or sends adverts of one of our virtual routers: each would remove or announce the VIPs of the other, and neither
// receives the adverts of the other. One that holds other VIPs does not matter.
func (d *Director) alone(l *loops) error {
	daemons, err := d.o.Kernel.VRRPDaemons()
	if err != nil {
		d.log.Warn("cannot find out whether another VRRP daemon runs here", "error", err)
	}
	if len(daemons) == 0 {
		return nil
	}
	links, err := l.kernel.Links()
	if err != nil {
		return err
	}
	addresses, err := l.kernel.List("")
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	why := ""
	if held := plan.Stray(d.o.Config, d.o.Node.Name, links, addresses); len(held) > 0 {
		why = fmt.Sprintf("%s has the VIP %s", held[0].Interface, held[0].Prefix)
	} else if !d.o.TakeOver {
		why = d.ourRouters()
	}
	switch {
	case why == "":
		return nil
	case d.o.TakeOver:
		d.log.Warn("another VRRP daemon runs here and holds a VIP; taking it over", "daemon", daemons[0], "reason", why)
		return nil
	default:
		return fmt.Errorf("%s runs in this network namespace, and %s: stop it first (systemctl stop keepalived), or start with --take-over", daemons[0], why)
	}
}

// listenAtMost limits how long a start listens for the adverts of another VRRP daemon.
const listenAtMost = 5 * time.Second

// ourRouters says which virtual router of ours another program of this host advertises; "" for none. It listens for a
// little longer than the longest advert interval.
func (d *Director) ourRouters() string {
	instances := d.o.Config.ForNode(d.o.Node.Name).Instances
	longest := time.Duration(0)
	for _, i := range instances {
		longest = max(longest, i.AdvertInterval)
	}
	sent, err := d.o.Kernel.Advertised(min(longest*5/4, listenAtMost))
	if err != nil {
		d.log.Warn("cannot find out what another VRRP daemon here sends", "error", err)
	}
	for _, i := range instances {
		if slices.Contains(sent[i.Interface], i.VRID) {
			return fmt.Sprintf("sends adverts of virtual router %d on %s", i.VRID, i.Interface)
		}
	}
	return ""
}
