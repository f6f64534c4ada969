package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// critical waits until `lvsctl status --check` of the node exits with 2 and prints a text.
func (n *node) critical(text string) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		out, err := n.ctl("status", "--check")
		if lab.ExitCode(err) != 2 || !strings.Contains(fmt.Sprint(out, err), text) {
			return fmt.Errorf("lvsctl status --check of %s: %v %s, want exit code 2 and %q", n.Name, err, out, text)
		}
		return nil
	})
}

// TestStrayVIP: a start beside a running keepalived that holds the VIP is refused and leaves it alone, unless it is to
// take over. A VIP that no director has added is CRITICAL with the command that removes it, and is never removed by the
// director: found at the start or added later, with any prefix.
//
// Proves docs/operations.md: "A start never removes a VIP that is not in its own state file."
// Proves docs/operations.md: "unless `arp_ignore` of the instance's interface is 0: then that interface answers for them all
// the same"
// Proves docs/operations.md: "A VIP that no director has added is never removed by one; it is CRITICAL on every node that
// has it"
func TestStrayVIP(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	r := timing{3, relaxedAdvert}
	c := newCluster(t, shape{advert: r.advert.String()})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	another := lab.StartKeepalived(c.backup.Host, strings.Replace(keepalivedConf("lvs-backup", r), vip+"/32", "10.77.0.200/32", 1))
	another.WaitLog("Entering MASTER STATE", soon)
	c.backup.refuses("beside a keepalived with our virtual router", 1, `lvs-director: keepalived \(pid \d+\) runs in this network namespace, and sends adverts of virtual router 51 on eth0: stop it first`,
		c.backup.runArgs()...)
	another.Stop()
	other := startKeepalived(c.master, r)
	c.awaitHolder(c.master, soon)
	c.master.refuses("beside keepalived", 1, `lvs-director: keepalived \(pid \d+\) runs in this network namespace, and eth0 has the VIP 10\.77\.0\.100/32: stop it first`,
		c.master.runArgs()...)
	if !c.master.holds() {
		t.Fatal("keepalived has lost its VIP")
	}
	c.master.daemon = c.master.Start("lvs-director", c.master.runArgs("--take-over")...)
	c.master.daemon.WaitLog("to=MASTER", soon)
	other.Stop()
	c.steady(c.master, r)

	c.backup.Run("ip", "addr", "add", vipPrefix, "dev", "eth0") // left by a keepalived that was killed
	c.backup.start()
	c.backup.critical("ip addr del 10.77.0.100/32 dev eth0")
	c.backup.Run("ip", "addr", "del", vipPrefix, "dev", "eth0")
	healthy(t, c.backup, c.master)
	c.backup.Run("ip", "addr", "add", vip+"/24", "dev", "eth0")
	c.backup.critical("ip addr del 10.77.0.100/24 dev eth0")
	c.backup.Run("ip", "addr", "del", vip+"/24", "dev", "eth0")
	c.backup.Run("ip", "addr", "add", vipPrefix, "dev", "lo") // as a real server has it, without its sysctls
	c.backup.critical("eth0 answers ARP for it")
	c.backup.Sysctl("net.ipv4.conf.all.arp_ignore", "1")
	healthy(t, c.backup)
	c.backup.Run("ip", "addr", "del", vipPrefix, "dev", "lo")
	c.backup.Run("ip", "addr", "add", vip+"/24", "dev", "eth0")
	c.backup.critical("ip addr del 10.77.0.100/24 dev eth0")
	c.backup.daemon.Stop()
	c.backup.Run("ip", "addr", "del", vip+"/24", "dev", "eth0") // fails if it is not there any more
}
