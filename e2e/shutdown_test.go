package e2e

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestMachineShutsDown: while the machine of the MASTER shuts down, its director resigns at once, and does not wait for a
// successor.
//
// Proves docs/failover.md: "A second SIGTERM resigns at once, as does a stop while the machine shuts down."
func TestMachineShutsDown(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Systemd)
	lab.Long(t)
	c := newCluster(t, shape{advert: "1s"})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	s := c.master.underSystemd()
	s.Systemctl("start", directorUnit)
	c.awaitHolder(c.master, soon)
	c.backup.start()
	c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
	c.backup.daemon.WaitLog("received the first advert", soon)
	// The systemd of the lab has no unit that ends the machine; what any of them does before is to start this target.
	s.Run("sh", "-c", `printf '[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\n' > /etc/systemd/system/lab-shutdown.target`)
	s.Systemctl("daemon-reload")
	mark := s.JournalMark()
	adverts, begun := capture.Start(c.client, "eth0", lab.VRRP), time.Now()
	s.Systemctl("--no-block", "start", "lab-shutdown.target")
	resigned := adverts.Wait(`10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`, soon)
	mark.WaitLog("the machine shuts down: not waiting for the handover", soon)
	c.awaitHolder(c.backup, soon)
	took := resigned.Time.Sub(begun)
	t.Logf("lvs-master resigned %s after the begin of the shutdown", took)
	if took > 2*time.Second { // a handover takes 3.6 s
		t.Errorf("lvs-master resigned %s after the begin of the shutdown", took)
	}
}
