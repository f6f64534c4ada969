package director

import (
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/plan"
)

// alone refuses a start beside another VRRP daemon, such as keepalived, that holds one of our VIPs in this network
// namespace: each would remove or announce the VIPs of the other, and neither receives the adverts of the other. One
// that holds other VIPs does not matter.
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
	held := plan.Stray(d.o.Config, d.o.Node.Name, links, addresses)
	switch {
	case len(held) == 0:
		return nil
	case d.o.TakeOver:
		d.log.Warn("another VRRP daemon runs here and holds a VIP; taking it over", "daemon", daemons[0],
			"interface", held[0].Interface, "vip", held[0].Prefix.String())
		return nil
	default:
		return fmt.Errorf("%s runs in this network namespace, and %s has the VIP %s: stop it first (systemctl stop keepalived), or start with --take-over",
			daemons[0], held[0].Interface, held[0].Prefix)
	}
}
