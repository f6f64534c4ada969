package ctl

import (
	"fmt"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// tunnels says for each virtual server with tunnels how large the packets of clients may be.
func tunnels(cfg *config.Config) []string {
	var lines []string
	for _, v := range cfg.VirtualServers {
		servers := map[int][]string{} // by overhead
		var order []int
		for _, r := range v.RealServers {
			if v.ForwardTo(r) != config.TUN {
				continue
			}
			overhead := r.Tunnel.Overhead()
			if servers[overhead] == nil {
				order = append(order, overhead)
			}
			servers[overhead] = append(servers[overhead], r.Name)
		}
		for _, overhead := range order {
			lines = append(lines, fmt.Sprintf("%s: the tunnel to %s adds %d bytes: on a network with an MTU of 1500, packets of clients may have %d bytes, and their MSS is %d",
				v.Name, strings.Join(servers[overhead], ", "), overhead, 1500-overhead, 1500-overhead-40))
		}
	}
	return lines
}
