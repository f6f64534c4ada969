package e2e

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// TestQuietMarked: quiet connections of a virtual server by firewall mark are counted, sent again to a standby that was booted
// after they were opened, with the mark. They survive the death of the MASTER.
//
// Proves docs/failover.md: "A connection of a virtual server [by firewall mark](virtual-servers.md#firewall-marks) is found
// by its real server"
func TestQuietMarked(t *testing.T) {
	lab.Need(t, lab.IPVS)
	const count = 10 // one message of them is captured whole
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", strings.Replace(shape{advert: "300ms", check: "{type: tcp, port: 3306, interval: 400ms, timeout: 350ms, rise: 1}", more: "connection_sync: {}"}.file(),
		"    address: "+vip+"\n    port: 3306\n", "    fwmark: 5\n    marking: none\n", 1))
	for _, n := range []*node{c.master, c.backup} {
		n.Run("iptables", "-t", "mangle", "-A", "PREROUTING", "-d", vip, "-p", "tcp", "--dport", "3306", "-j", "MARK", "--set-mark", "5")
	}
	c.answering()
	for _, n := range []*node{c.mysql1, c.mysql2} { // the agent does not know the VIP
		n.vipByHand()
	}
	c.master.start()
	c.awaitHolder(c.master, soon)
	lab.Eventually(t, soon, sameAs(c, []string{"-A -f 5 -s rr", "-a -f 5 -r 10.77.0.11:0 -g", "-a -f 5 -r 10.77.0.12:0 -g"}))
	conns := measure.OpenConnections(c.client, vipPort, count)
	c.master.awaitCounted(count)
	packets := capture.Start(c.backup.Host, "eth0", "udp port 8848 and src host 10.77.0.2", "-x")
	c.backup.start()
	c.awaitEntries(c.backup, count)
	c.backup.awaitLearned(count)
	marked := 0
	for _, b := range payloads(packets.Stop()) {
		if h, _ := syncmsg.ParseHeader(b); h.Connections == 0 { // what directors tell each other, which is longer than what is captured
			continue
		}
		m, err := syncmsg.Parse(b)
		if err != nil {
			t.Error(err)
		}
		for _, conn := range m.Connections {
			if marked++; conn.Mark != 5 || conn.Flags&syncmsg.ForwardDR != syncmsg.ForwardDR {
				t.Errorf("sent: %+v", conn)
			}
		}
	}
	if marked < count {
		t.Errorf("%d connections were sent", marked)
	}
	c.master.daemon.Kill()
	c.backup.daemon.WaitLog("to=MASTER", soon)
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != count {
		t.Errorf("%d of %d: %v", alive["mysql1"]+alive["mysql2"], count, conns.Errors())
	}
}
