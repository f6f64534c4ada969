package lvs

import (
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// localScheduler is that of the services of local delivery, which have one real server each.
const localScheduler = "rr"

// LocalSchedulers returns the schedulers that a file needs for local delivery, whichever director reads it.
func LocalSchedulers(cfg *config.Config) []string {
	for _, l := range cfg.LocalServers() {
		if l.Forward == config.DR {
			return []string{localScheduler}
		}
	}
	return nil
}

// LocalServices returns the services by which a director delivers to itself what another one has balanced (kernel.Marking.Local),
// one for each family: their only real server is this host, so that IPVS leaves the packets to it (ip_vs_null_xmit).
func LocalServices(cfg *config.Config, node string) []Service {
	var all []Service
	done := map[kernel.Family]bool{}
	for one, r := range cfg.LocalTo(node) {
		if family := one.Family(); !done[family] && kernel.FamilyOf(r.Address) == family {
			done[family] = true
			all = append(all, Service{
				Key: Marked(family, kernel.LocalMark), Scheduler: localScheduler,
				Servers: []Server{{Address: r.Address, Forward: config.DR, Weight: 1}},
			})
		}
	}
	return all
}
