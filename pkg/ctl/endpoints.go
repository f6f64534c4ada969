package ctl

import (
	"fmt"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// endpoints returns where clients connect to: "10.77.0.100:3306", or "10.77.0.100,10.77.0.101 ports 3306-3308,4000".
func endpoints(v status.VirtualServer) string {
	switch {
	case v.FirewallMark != 0:
		return fmt.Sprintf("firewall mark %d", v.FirewallMark)
	case len(v.Addresses) > 1 && len(v.Ports) == 1:
		return fmt.Sprintf("%s port %d", strings.Join(v.Addresses, ","), v.Ports[0])
	case len(v.Ports) > 1:
		return fmt.Sprintf("%s ports %s", strings.Join(v.Addresses, ","), ranges(v.Ports))
	default:
		return endpoint(v.Address, v.Port)
	}
}

// ranges joins neighbouring ports.
func ranges(ports []int) string {
	var parts []string
	for i := 0; i < len(ports); {
		last := i
		for last+1 < len(ports) && ports[last+1] == ports[last]+1 {
			last++
		}
		if last == i {
			parts = append(parts, fmt.Sprint(ports[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", ports[i], ports[last]))
		}
		i = last + 1
	}
	return strings.Join(parts, ",")
}
