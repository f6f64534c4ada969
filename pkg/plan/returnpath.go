package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// ReturnPathOf returns what keeps answers on their way through a director, by a file alone.
func ReturnPathOf(cfg *config.Config) kernel.ReturnPath { return returnPathBy([]*config.Config{cfg}) }

// returnPathBy returns what keeps answers on their way through this host, by the files in use, whichever director is MASTER: a real
// server keeps for minutes what a redirect has told it.
func returnPathBy(files []*config.Config) kernel.ReturnPath {
	var path kernel.ReturnPath
	for _, file := range files {
		for _, v := range file.VirtualServers {
			for _, r := range v.RealServers {
				if v.ForwardTo(r) == config.NAT && kernel.FamilyOf(r.Address) == kernel.IPv6 {
					path.Unredirected = append(path.Unredirected, r.Address)
				}
			}
		}
	}
	path.Unredirected = sortedOnce(path.Unredirected, netip.Addr.Compare)
	return path
}
