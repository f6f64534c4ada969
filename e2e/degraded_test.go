package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestDegradedBesideKeepalived: a degraded MASTER is replaced by a keepalived of lower priority that returns, but not by one
// with nopreempt, which takes over when the director stops. The director takes the VIP back once it reaches its servers.
//
// Proves docs/operations.md: "keepalived replaces it as well, but not with `nopreempt`: then restart the degraded director,
// which makes it resign."
func TestDegradedBesideKeepalived(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	c := newNATCluster(t)
	c.master.Run("ip", "link", "set", "eth1", "down")
	heldBy := func(want *node) func() error {
		return func() error {
			if holders := lab.Holders(vip, c.master.Host, c.backup.Host); len(holders) != 1 || holders[0] != want.Name {
				return fmt.Errorf("%s is on %v, want it on %s alone", vip, holders, want.Name)
			}
			return nil
		}
	}
	peer := func(more string) *lab.Daemon {
		return lab.StartKeepalived(c.backup.Host, fmt.Sprintf(`vrrp_instance outer {
  state BACKUP
  version 3
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  %s
  virtual_ipaddress { 10.77.0.100/32 }
}
`, more))
	}
	c.master.start()
	lab.Eventually(t, soon, heldBy(c.master))
	noPreempt := peer("nopreempt")
	noPreempt.WaitLog("Entering BACKUP STATE", soon)
	lab.Consistently(t, 2*time.Second, heldBy(c.master))
	c.master.daemon.Stop()
	lab.Eventually(t, soon, heldBy(c.backup))
	noPreempt.Stop()

	c.master.start()
	lab.Eventually(t, soon, heldBy(c.master))
	peer("")
	lab.Eventually(t, soon, heldBy(c.backup))
	lab.Consistently(t, time.Second, heldBy(c.backup))
	c.master.Run("ip", "link", "set", "eth1", "up")
	c.servers[0].start()
	c.servers[1].start()
	lab.Eventually(t, soon, heldBy(c.master))
}
