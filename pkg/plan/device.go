package plan

import (
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// deviceFaults returns why an instance cannot hold VIPs on interfaces other than its own.
func (in Inputs) deviceFaults(cfg config.Instance) (all []Fault) {
	for _, name := range cfg.Devices() {
		reason, misfit := "", false
		at := slices.IndexFunc(in.Links, func(k kernel.Link) bool { return k.Name == name })
		switch {
		case !in.Looked:
			reason = fmt.Sprintf("the state of interface %s is not known yet", name)
		case at < 0:
			reason, misfit = unknownInterface(name, in.Links), true
		case !in.Links[at].Up:
			reason = fmt.Sprintf("the interface %s is down (ip link set %s up)", name, name)
		case !in.Links[at].Carrier:
			reason = fmt.Sprintf("the interface %s has no carrier: check its cable and switch port", name)
		}
		if reason != "" {
			all = append(all, Fault{Reason: reason + "; it has virtual addresses of this instance", Misfit: misfit})
		}
	}
	return all
}
