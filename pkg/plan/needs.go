package plan

import (
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Need is a feature of the kernel without which a virtual server serves nobody.
type Need struct {
	VirtualServer string
	Feature       string // of package kernel
	By            string // what of the file needs it
	Kernel        string // what the kernel must have
	Remedy        string
}

// Needs returns what the virtual servers of a file need of the kernel, each feature once for each of them. Schedulers and
// persistence engines are not among them: the kernel is asked for those, and loads them.
func Needs(cfg *config.Config) []Need {
	var all []Need
	have := map[[2]string]bool{}
	add := func(n Need) {
		if of := [2]string{n.VirtualServer, n.Feature}; !have[of] {
			have[of] = true
			all = append(all, n)
		}
	}
	for _, v := range cfg.VirtualServers {
		if v.Family() == kernel.IPv6 {
			add(Need{v.Name, kernel.FeatureIPVS6, "an address of IPv6", "IPVS for IPv6 (CONFIG_IP_VS_IPV6)", "use another kernel, or addresses of IPv4"})
		}
		for one := range v.Endpoints() {
			if one.Protocol == "sctp" {
				add(Need{v.Name, kernel.FeatureSCTP, "protocol: sctp", "IPVS for SCTP (CONFIG_IP_VS_PROTO_SCTP)", "use another kernel, or another protocol"})
			}
		}
		if len(v.SNATClients) > 0 {
			add(Need{v.Name, kernel.FeatureTracked, "snat_clients", "IPVS with connection tracking (CONFIG_IP_VS_NFCT)", "use another kernel, or remove it and route the answers of the real servers through the directors"})
		}
		for _, r := range v.RealServers {
			if r.Address.Is6() && v.Family() != kernel.IPv6 {
				add(Need{v.Name, kernel.FeatureIPVS6, "the address of the real server " + r.Name, "IPVS for IPv6 (CONFIG_IP_VS_IPV6)", "use another kernel, or addresses of IPv4"})
			}
			if r.Tunnel != (config.Tunnel{}) {
				add(Need{v.Name, kernel.FeatureTunnels, "the tunnel of the real server " + r.Name, "IPVS with types of tunnels (Linux 5.3)", "use another kernel, or a tunnel without a type"})
			}
		}
	}
	return all
}
