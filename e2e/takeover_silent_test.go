package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestSilentPeer: a director that takes over from one that is silent tells a machine whose daemon has ended, or whose adverts are
// lost, from one that is cut off.
//
// Proves docs/failover.md: "A director that becomes MASTER because no advert arrives any more asks the machine of the former MASTER
// three times in a second for its hardware address."
// Proves docs/failover.md: "the daemon there has ended, or its adverts are lost on the way"
// Proves docs/failover.md: "that machine is down, or one of the two is cut off"
func TestSilentPeer(t *testing.T) {
	lab.Need(t)
	c := deafCluster(t, true, "")
	for _, n := range []*node{c.master, c.backup} {
		n.start()
		c.awaitHolder(c.master, soon)
	}
	c.backup.reports("higher priority 150 from 10.77.0.2")
	const alive, gone = "10.77.0.2 still answers ARP", "10.77.0.2 does not answer ARP either"
	finds := func(what, text string, answers bool) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			one := c.backup.status().Instances[0]
			if p := one.SilentPeer; one.State != "MASTER" || p == nil || p.Address != "10.77.0.2" || p.AnswersARP != answers || !strings.Contains(one.Reason, text) {
				return fmt.Errorf("%s: lvs-backup is %s, silent peer %+v", what, one.Reason, p)
			}
			return nil
		})
	}
	link := c.master.Link("eth0")
	asked := capture.Start(c.backup.Host, "eth0", "arp host 10.77.0.2 and not arp[14:4] = 0x0a4d0064")
	c.master.daemon.Kill()
	finds("the daemon of lvs-master is dead", alive, true)
	awaitPacket(t, asked, `Reply 10\.77\.0\.2 is-at `+c.master.mac())
	asked.Stop()

	returns := func() {
		t.Helper()
		c.awaitHolder(c.master, soon)
		lab.Eventually(t, soon, func() error {
			if one := c.backup.status().Instances[0]; one.State != "BACKUP" || one.SilentPeer != nil {
				return fmt.Errorf("lvs-backup is %s, silent peer %+v", one.Reason, one.SilentPeer)
			}
			return nil
		})
	}
	c.master.start()
	returns()
	link.CarrierDown()
	finds("the cable of lvs-master is out", gone, false)
	link.CarrierUp()
	returns()
	link.Drop(lab.BothWays, lab.VRRP)
	finds("the adverts of lvs-master are lost", alive, true)
	link.StopDropping()
	returns()
}
