package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

const (
	excluded  = "10.77.0.101"
	excluded6 = "fd00:77::101"
)

// awaitHeld waits until the node, and not the other director, has the addresses.
func (c *cluster) awaitHeld(n *node, addresses ...string) {
	c.t.Helper()
	for _, address := range addresses {
		lab.Eventually(c.t, soon, func() error {
			if holders := lab.Holders(address, c.master.Host, c.backup.Host); len(holders) != 1 || holders[0] != n.Name {
				return fmt.Errorf("%s is on %v, want it on %s alone", address, holders, n.Name)
			}
			return nil
		})
	}
}

// TestExcludedAddresses: excluded addresses of both families move between our director and keepalived with
// virtual_ipaddress_excluded, in both directions; adverts do not list them, they are announced, restored, and gone at the
// end of the lease of a killed director.
//
// Proves docs/operations.md: "The MASTER holds these addresses like its `virtual_addresses`: with a lease, announced,
// restored when another program deletes them"
func TestExcludedAddresses(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{3, relaxedAdvert}
	c := newCluster(t, shape{advert: r.advert.String(), instance: fmt.Sprintf("excluded_addresses: [%s, %q]", excluded, excluded6)})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	conf := strings.Replace(keepalivedConf("lvs-backup", r), "virtual_ipaddress {", "virtual_ipaddress_excluded {\n    "+excluded+"/32\n    "+excluded6+"/128\n  }\n  virtual_ipaddress {", 1)
	segment := c.segment()
	other := lab.StartKeepalived(c.backup.Host, conf)
	other.WaitLog("Entering MASTER STATE", soon)
	c.awaitHeld(c.backup, vip, excluded, excluded6)
	begun := time.Now()
	c.master.start()
	c.awaitHeld(c.master, vip, excluded, excluded6)
	healthy(t, c.master)
	segment.Wait(c.master.mac()+` > .*ARP.*Request who-has 10\.77\.0\.101 .*tell 10\.77\.0\.101`, soon)

	for _, address := range []string{excluded + "/32", excluded6 + "/128"} {
		c.master.Run("ip", "addr", "del", address, "dev", "eth0")
	}
	c.awaitHeld(c.master, vip, excluded, excluded6)
	c.master.daemon.WaitLog("deleted or changed by another process; restored", soon)

	c.master.daemon.Stop()
	c.awaitHeld(c.backup, vip, excluded, excluded6)
	c.master.start()
	c.awaitHeld(c.master, vip, excluded, excluded6)
	c.master.daemon.Kill()
	c.awaitHeld(c.backup, vip, excluded, excluded6) // the kernel removes those of the killed director
	adverts := capture.Matching(segment.Stop(), "VRRP")
	for _, p := range adverts {
		if p.Time.After(begun) && !strings.Contains(p.Text, "length 12") { // 8 bytes and one address
			t.Errorf("an advert that does not list one address: %s", p.Text)
		}
	}
	if len(adverts) == 0 {
		t.Error("no adverts")
	}
}
