package director

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/ledger"
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
			want[ofInterface+base.For(d.name).Interface+"/send_redirects"] = "0"
		}
	}
	return want
}

// setSysctls makes the settings right, and writes down before what they were. Those of an interface that is not there are
// left for when it comes.
func (d *Director) setSysctls(cfg *config.Config) error {
	want := d.wantedSysctls(cfg)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		found, err := d.sysctls.Get(key)
		switch {
		case errors.Is(err, sysctl.ErrMissing) && strings.HasPrefix(key, ofInterface):
			continue
		case err != nil:
			return err
		case found == want[key]:
			continue
		}
		d.saved(d.ledger.RecordSysctl(ledger.Sysctl{Key: key, Found: found, Wrote: want[key]}))
		if _, err := d.sysctls.Set(key, want[key]); err != nil {
			return err
		}
		d.log.Info("sysctl", "key", key, "from", found, "to", want[key])
	}
	return nil
}

// followRenames moves the recorded sysctls of an interface to its new name, where the kernel shows our values now.
func (d *Director) followRenames(known []addr.Link) {
	for _, now := range known {
		at := slices.IndexFunc(d.devices, func(b addr.Link) bool { return b.Index == now.Index })
		if at < 0 || d.devices[at].Name == now.Name {
			continue
		}
		old := ofInterface + d.devices[at].Name + "/"
		for _, s := range d.ledger.Sysctls() {
			if name, of := strings.CutPrefix(s.Key, old); of {
				d.saved(d.ledger.RecordSysctl(ledger.Sysctl{Key: ofInterface + now.Name + "/" + name, Found: s.Found, Wrote: s.Wrote}))
				d.saved(d.ledger.ForgetSysctl(s.Key))
			}
		}
	}
	d.devices = known
}

// keepSysctls puts right what somebody else set meanwhile, and what belongs to an interface that came.
func (d *Director) keepSysctls() {
	err := d.setSysctls(d.cfg)
	if err == nil {
		d.sysctlProblem.Store(nil)
		return
	}
	text := err.Error()
	if before := d.sysctlProblem.Swap(&text); before == nil || *before != text {
		d.log.Error("cannot keep the sysctls right; trying again", "error", text)
	}
}

// restoreSysctls gives back the values found, except those of keep and where somebody else set another one meanwhile.
// What could not be given back stays in the ledger.
func (d *Director) restoreSysctls(keep map[string]string) error {
	var failed []error
	for _, changed := range d.ledger.Sysctls() {
		if _, wanted := keep[changed.Key]; wanted {
			continue
		}
		now, err := d.sysctls.Get(changed.Key)
		switch {
		case errors.Is(err, sysctl.ErrMissing): // it went with its interface or module
		case err != nil:
			failed = append(failed, fmt.Errorf("restore a sysctl: %w", err))
			continue
		case now == changed.Wrote:
			if _, err := d.sysctls.Set(changed.Key, changed.Found); err != nil {
				failed = append(failed, fmt.Errorf("restore a sysctl: %w", err))
				continue
			}
			d.log.Info("sysctl", "key", changed.Key, "from", now, "to", changed.Found)
		}
		d.saved(d.ledger.ForgetSysctl(changed.Key))
	}
	return errors.Join(failed...)
}
