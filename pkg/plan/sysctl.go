package plan

import (
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// OfInterface begins the sysctls that come and go with an interface.
const OfInterface = "net/ipv4/conf/"

// ConfKey is how a plan writes an interface's parameter under net.ipv4.conf.
func ConfKey(iface, name string) string { return OfInterface + iface + "/" + name }

// sysctls are the kernel settings that balancing needs, and only while it balances. Those of net.ipv4.vs are of both families.
//
// expire_nodest_conn=1: a connection to a real server that left the table is reset by its next packet instead of being
// dropped in silence for up to 15 minutes (Documentation/networking/ipvs-sysctl.rst).
func sysctls(cfg *config.Config) map[string]string {
	want := map[string]string{}
	for _, v := range cfg.VirtualServers {
		want["net.ipv4.vs.expire_nodest_conn"] = "1"
		if v.Persistence != nil { // or a client keeps coming back to a real server of weight 0
			want["net.ipv4.vs.expire_quiescent_template"] = "1"
		}
		if v.Forward != config.NAT {
			continue
		}
		if kernel.FamilyOf(v.Address) == kernel.IPv6 { // of redirects the kernel has no setting there
			want["net.ipv6.conf.all.forwarding"] = "1"
			continue
		}
		if want["net.ipv4.ip_forward"] != "" {
			continue
		}
		want["net.ipv4.ip_forward"] = "1" // the replies of the real servers are routed
		// A one-armed director must not tell real servers a shorter way, past itself. Either of the two would send.
		want["net.ipv4.conf.all.send_redirects"] = "0"
		for _, i := range cfg.Instances {
			want[ConfKey(i.Interface, "send_redirects")] = "0"
		}
	}
	return want
}
