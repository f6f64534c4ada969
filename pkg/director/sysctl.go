package director

import (
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// ofInterface begins the sysctls that come and go with an interface.
const ofInterface = "net/ipv4/conf/"

// wantedSysctls are the kernel settings that balancing needs, and only while it balances.
//
// expire_nodest_conn=1: a connection to a real server that left the table is reset by its next packet instead of being
// dropped in silence for up to 15 minutes (Documentation/networking/ipvs-sysctl.rst).
func (d *Director) wantedSysctls(cfg *config.Config) map[string]string {
	want := map[string]string{}
	for _, v := range cfg.VirtualServers {
		want["net.ipv4.vs.expire_nodest_conn"] = "1"
		if v.Persistence != nil { // or a client keeps coming back to a real server of weight 0
			want["net.ipv4.vs.expire_quiescent_template"] = "1"
		}
		if v.Forward != config.NAT {
			continue
		}
		want["net.ipv4.ip_forward"] = "1" // the replies of the real servers are routed
		// A one-armed director must not tell real servers a shorter way, past itself. Either of the two would send.
		want["net.ipv4.conf.all.send_redirects"] = "0"
		for _, base := range cfg.Instances {
			want[confKey(base.For(d.name).Interface, "send_redirects")] = "0"
		}
	}
	return want
}

func confKey(iface, name string) string { return ofInterface + iface + "/" + name }

// newSysctls makes the keeper of the settings. Those of an interface that is not there are left for when it comes.
func (d *Director) newSysctls(kernel reconcile.SysctlKernel) *reconcile.Sysctls {
	tell := func(c reconcile.SysctlChange) { d.log.Info("sysctl", "key", c.Key, "from", c.From, "to", c.To) }
	return reconcile.NewSysctls(reconcile.SysctlOptions{
		Kernel: kernel, Ledger: d.ledger, ConfKey: confKey, Saved: d.saved, WasSet: tell, GivenBack: tell, Log: d.log,
		Optional: func(key string) bool { return strings.HasPrefix(key, ofInterface) },
	})
}
