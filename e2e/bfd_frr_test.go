package e2e

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestBFDWithFRR: sessions with FRR's bfdd come up in both directions; a director that loses its session goes to FAULT
// within the detection time and returns with it; bfdd sees that a director stops.
//
// Proves docs/operations.md: "An instance that names one in its `tracks` is in FAULT while the session is down, so that
// another director serves while the router or the path to it has failed"
func TestBFDWithFRR(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.FRR)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", instance: "tracks: [upstream]"})
	c.rewrite("virtual_servers:", "bfd_sessions:\n  - {name: upstream, interface: eth0, address: 10.77.0.1, interval: 50ms}\nvirtual_servers:")
	router := c.net.Host("router", c.lan.At("10.77.0.1/24"))
	bfdd := lab.StartBFDD(router, `log stdout
debug bfd peer
bfd
 peer 10.77.0.2 interface eth0
  receive-interval 50
  transmit-interval 50
 !
 peer 10.77.0.3 interface eth0
  receive-interval 50
  transmit-interval 50
 !
`)
	packets := capture.Start(router, "eth0", bfdPort, "-v")
	c.answering()
	c.startAll()
	c.awaitBFD(c.master)
	c.awaitBFD(c.backup)
	bfdd.WaitLog(`10\.77\.0\.2.* -> up`, soon)
	bfdd.WaitLog(`10\.77\.0\.3.* -> up`, soon)

	link := c.master.Link("eth0")
	cut := time.Now()
	link.Drop(lab.BothWays, bfdPort)
	fault := c.master.daemon.WaitLog("to=FAULT reason=.*upstream", soon)
	if took := fault.At.Sub(cut); took > 500*time.Millisecond { // most of it is taken by the cut itself
		t.Errorf("FAULT after %s", took)
	}
	c.awaitHolder(c.backup, soon)
	link.StopDropping()
	c.awaitHolder(c.master, soon)
	c.awaitBFD(c.master)

	c.backup.daemon.Stop()
	bfdd.WaitLog(`10\.77\.0\.3.*(down|neighbor)`, soon)
	for _, want := range []string{
		// Those to lvs-master come from port 49152, which tcpdump takes for another protocol.
		`(?s)10\.77\.0\.1\.[0-9]+ > 10\.77\.0\.3.*State Up.*Desired min Tx Interval: +50 ms`,
		`(?s)10\.77\.0\.2\.[0-9]+ > 10\.77\.0\.1.*State Up, Flags: \[none\].*\(150 ms Detection time\).*Desired min Tx Interval: +50 ms`,
		`(?s)10\.77\.0\.3\.[0-9]+ > 10\.77\.0\.1.*State AdminDown`,
	} {
		if len(capture.Matching(packets.Packets(), want)) == 0 {
			t.Errorf("no packet matches %s", want)
		}
	}
}
