package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestGatewayTrack: scenario 004-S3. A director that is cut off hears no MASTER and cannot reach the gateway: it does
// not become MASTER, so that the VIP is on one machine only. A MASTER that cannot reach the gateway stays MASTER. If the
// MASTER dies while the gateway does not answer, nobody takes the VIP, until the gateway answers.
//
// Proves docs/failover.md: "While such a track is down, the director does not become MASTER *even if there is none*."
func TestGatewayTrack(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	methods := []string{"ping"}
	if !testing.Short() {
		methods = append(methods, "arp")
	}
	for _, method := range methods {
		t.Run(method, func(t *testing.T) { gatewayTrack(t, method) })
	}
}

func gatewayTrack(t *testing.T, method string) {
	c := newCluster(t, shape{advert: "100ms", instance: "tracks: [gateway]"})
	c.rewrite("virtual_servers:", "tracks:\n  - {name: gateway, type: gateway, method: "+method+", targets: [10.77.0.1], interval: 100ms, timeout: 80ms}\nvirtual_servers:")
	router := c.net.Host("router", c.lan.At("10.77.0.1/24"))
	// With arp, announcements of the VIP are requests, too, for the VIP itself.
	asked := map[string]string{"ping": "icmp[icmptype] == icmp-echo", "arp": "arp dst host 10.77.0.1 and arp[6:2] == 1"}[method]
	questions := capture.Start(router, "eth0", asked)
	c.answering()
	c.startAll()
	down := func(n *node) {
		t.Helper()
		n.daemon.WaitLog(`track gateway.*up=false.*10\.77\.0\.1`, soon)
	}

	// Cut off: for two seconds it hears 20 adverts less than it should.
	link := c.backup.Link("eth0")
	link.Unplug()
	down(c.backup)
	time.Sleep(2 * time.Second)
	if c.backup.holds() || !c.master.holds() {
		t.Errorf("while lvs-backup is cut off, the VIP is on %v", lab.Holders(vip, c.master.Host, c.backup.Host))
	}
	healed := c.backup.daemon.Mark()
	link.Plug()
	healed.WaitLog(`track gateway.*up=true`, soon)
	c.awaitHolder(c.master, soon)

	// The gateway is gone: the MASTER stays, but nobody takes over.
	before := c.backup.daemon.Mark()
	router.Link("eth0").Unplug()
	down(c.master)
	before.WaitLog(`track gateway.*up=false`, soon)
	if !c.master.holds() {
		t.Error("a MASTER that cannot reach the gateway gives the VIP up")
	}
	c.master.daemon.Kill()
	lab.Eventually(t, soon, func() error { // its lease ends
		if c.master.holds() {
			return errors.New("lvs-master still has the VIP")
		}
		return nil
	})
	time.Sleep(2 * time.Second)
	if c.backup.holds() {
		t.Error("lvs-backup took the VIP although it cannot reach the gateway")
	}
	router.Link("eth0").Plug()
	c.awaitHolder(c.backup, soon)

	packets := questions.Packets()
	if len(capture.Matching(packets, `10\.77\.0\.2 > 10\.77\.0\.1|tell 10\.77\.0\.2`)) == 0 {
		t.Errorf("the gateway was not asked from the director's own address:\n%v", packets)
	}
	if len(capture.Matching(packets, `10\.77\.0\.100 > |tell 10\.77\.0\.100`)) > 0 {
		t.Error("the gateway was asked from the VIP")
	}
}
