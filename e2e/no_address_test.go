package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestNoAddress: an instance without addresses elects a MASTER, also with keepalived 2.2.7, which allows that with version 2.
//
// Proves docs/operations.md: "With `virtual_addresses: []` an instance only elects a MASTER,"
func TestNoAddress(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{2, time.Second}
	c := newCluster(t, shape{})
	file, _, _ := strings.Cut(shape{version: r.version, advert: r.advert.String()}.file(), "virtual_servers:")
	if err := os.WriteFile(c.file, []byte(strings.Replace(file, "["+vip+"/32]", "[]", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	state := func(n *node, want string) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			if got := n.status().Instances[0]; got.State != want {
				return fmt.Errorf("%s is %s (%s), want %s", n.Name, got.State, got.Reason, want)
			}
			return nil
		})
	}
	segment := c.segment()
	c.master.start()
	c.master.daemon.WaitLog("to=MASTER", soon)
	c.backup.start()
	c.backup.daemon.WaitLog("to=BACKUP", soon)
	segment.Wait(`10\.77\.0\.2 > 224\.0\.0\.18: .*VRRPv2.*prio 150.*length 16`, soon)
	c.master.daemon.Kill()
	state(c.backup, "MASTER")

	c.master.daemon = lab.StartKeepalived(c.master.Host, `vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 150
  advert_int 1
  version 2
}
`)
	c.master.daemon.WaitLog("Entering MASTER STATE", soon)
	state(c.backup, "BACKUP")
	c.backup.awaitCheck(0, "OK")
	lab.Consistently(t, 2*r.masterDown(), func() error {
		if got := c.backup.status().Instances[0]; got.State != "BACKUP" {
			return fmt.Errorf("%s: %s", got.State, got.Reason)
		}
		return nil
	})
	c.master.daemon.Stop()
	state(c.backup, "MASTER")
	if others := capture.Matching(segment.Stop(), `VRRP.*length (?:[^1]|1[^6])`); len(others) > 0 {
		t.Errorf("adverts with addresses: %v", others)
	}
}
