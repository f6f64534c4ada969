package director

import (
	"errors"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
)

// Cleanup removes what a dead daemon left in the kernel: its VIPs, and unless addressesOnly its virtual servers and
// sysctls as well. It refuses while a daemon holds the state directory. Options.Config may be empty when the cluster
// file cannot be used: then only what the ledger names is removed.
func Cleanup(o Options, addressesOnly bool) (err error) {
	d := New(o)
	if err := d.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.addr.Close(), d.ledger.Close()) }()
	if err := d.ledger.Held(); err != nil { // a daemon may be running
		return err
	}
	if err := d.removeVIPs(d.cfg); err != nil {
		return err
	}
	if addressesOnly {
		return d.ledger.SetAddresses(nil)
	}
	switch err := lookForIPVS(&config.Config{}); {
	case err == nil:
		kernel, err := ipvs.Open()
		if err != nil {
			return err
		}
		d.table = d.newTable(kernel, d.cfg)
	case !errors.Is(err, ipvs.ErrNoIPVS): // without IPVS there is nothing of ours in it
		return err
	}
	return d.withdraw()
}
