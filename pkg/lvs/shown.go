package lvs

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Shown returns a table without what /proc/net/ip_vs does not show: flags, persistence engines, tunnels and thresholds. A
// table that has none is returned itself.
func Shown(services []Service) []Service {
	hides := func(s Server) bool { return s.Upper != 0 || s.Lower != 0 || s.Tunnel != config.Tunnel{} }
	if !slices.ContainsFunc(services, func(s Service) bool { return s.Flags != 0 || s.Engine != "" || slices.ContainsFunc(s.Servers, hides) }) {
		return services
	}
	shown := clone(services)
	for i := range shown {
		shown[i].Flags, shown[i].Engine = 0, ""
		for j := range shown[i].Servers {
			shown[i].Servers[j].Upper, shown[i].Servers[j].Lower, shown[i].Servers[j].Tunnel = 0, 0, config.Tunnel{}
		}
	}
	return shown
}
