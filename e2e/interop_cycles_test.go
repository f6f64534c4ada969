package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// stockKeepalived is a keepalived of the pair with further lines of its instance.
func stockKeepalived(more string) product {
	return product{"keepalived", func(n *node, r timing) *lab.Daemon {
		priority := 100
		if n.Name == "lvs-master" {
			priority = 150
		}
		n.Try("ip", "link", "del", "vrrp.51") // of one that was killed
		n.daemon = lab.StartKeepalived(n.Host, fmt.Sprintf(`vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int %g
  version %d
  %s
  virtual_ipaddress { %s/32 }
}
`, priority, r.advert.Seconds(), r.version, more, vip))
		return n.daemon
	}}
}

// TestInteropCycles: a pair of one lvs-director and one keepalived 2.2.7, either of which is the MASTER of two cycles, in
// `make release-check` ten, and there in three variants more. In each cycle the BACKUP takes the VIP in time after a
// resignation or a silence, and the MASTER takes it back.
//
// Proves docs/operations.md: "Either side takes over from the other ten times with version 3, with version 2, with a
// password, and with a virtual MAC address on one side or both."
func TestInteropCycles(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Long(t)
	fast, slow := timing{3, 100 * time.Millisecond}, timing{2, time.Second}
	for _, c := range []struct {
		name         string
		r            timing
		ours, theirs string // further lines of the instance
		rare         bool   // in `make release-check` only
	}{
		{"version 3", fast, "", "", false},
		{"version 2", slow, "", "", true},
		{"version 2, password", slow, withPassword(passwordFile(t, "secret")), "authentication {\n    auth_type PASS\n    auth_pass secret\n  }", false},
		{"virtual MAC on both sides", fast, "virtual_mac: true", "use_vmac", false},
		{"virtual MAC of the director", fast, "virtual_mac: true", "", true},
		{"virtual MAC of keepalived", fast, "", "use_vmac", true},
	} {
		if c.rare && interopCycles() == 2 {
			continue
		}
		stock := stockKeepalived(c.theirs)
		for _, one := range [][2]product{{lvsDirector, stock}, {stock, lvsDirector}} {
			t.Run(c.name+"/"+one[0].name+" is the master", func(t *testing.T) {
				p := newPair(t, c.r, c.ours)
				one[0].start(p.master, c.r)
				one[1].start(p.backup, c.r)
				p.takeTurns(one[0], c.r, interopCycles())
			})
		}
	}
}
