package e2e

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestInteropChecksum: keepalived 2.2.7 accepts only the checksum with a pseudo-header. A director that sends the other one
// reports that keepalived does not follow it, and a reload ends that.
//
// Proves docs/operations.md: "Other keepalived reject such adverts, log `Invalid VRRPv3 checksum`, and become MASTER as well"
func TestInteropChecksum(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	const advert = 200 * time.Millisecond
	c := newCluster(t, shape{advert: advert.String(), instance: "checksum: plain"})
	c.answering()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.backup.daemon = lab.StartKeepalived(c.backup.Host, vipsConf(100, advert, "", vip))
	c.backup.daemon.WaitLog("Invalid VRRPv3 checksum", soon)
	c.master.awaitCheck(2, "10.77.0.3 is MASTER of virtual router 51 too, with priority 100")
	lab.Eventually(t, soon, func() error { return holdsVIP(c.backup) })
	if !c.master.holds() {
		t.Error("the director has given way to a lower priority")
	}
	c.net.File("cluster.yaml", shape{advert: advert.String()}.file())
	if out, err := c.master.ctl("reload"); err != nil {
		t.Fatal(err, out)
	}
	c.awaitHolder(c.master, soon)
	c.master.awaitCheck(0, "OK")
}
