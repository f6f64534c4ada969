package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// bfddPeers are the peers of bfdd's configuration, by their first lines.
func bfddPeers(peers ...string) string {
	var b strings.Builder
	for _, p := range peers {
		b.WriteString(" peer " + p + "\n  receive-interval 50\n  transmit-interval 50\n !\n")
	}
	return b.String()
}

// TestBFDWithFRR: sessions with FRR's bfdd, over IPv4, IPv6 and between link-local addresses, come up in both directions; a
// director that loses its session goes to FAULT within the detection time and returns with it; bfdd sees that a director
// stops.
//
// Proves docs/operations.md: "An instance that names one in its `tracks` is in FAULT while the session is down, so that
// another director serves while the router or the path to it has failed"
func TestBFDWithFRR(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.FRR)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", instance: "tracks: [upstream, upstream6, local]"})
	c.rewrite("virtual_servers:", `bfd_sessions:
  - {name: upstream, interface: eth0, address: 10.77.0.1, interval: 50ms}
  - {name: upstream6, interface: eth0, address: "fd00::1", interval: 50ms}
  - {name: local, interface: eth0, address: "fe80::1", interval: 50ms}
virtual_servers:`)
	router := c.net.Host("router", c.lan.At("10.77.0.1/24"))
	for h, addresses := range map[*lab.Host][]string{
		router: {"fd00::1/64", "fe80::1/64"}, c.master.Host: {"fd00::2/64", "fe80::2/64"}, c.backup.Host: {"fd00::3/64", "fe80::3/64"},
	} {
		h.Run("ip", "-6", "addr", "flush", "dev", "eth0") // so that there is one link-local address
		for _, a := range addresses {
			h.Run("ip", "addr", "add", a, "dev", "eth0", "nodad")
		}
	}
	bfdd := lab.StartBFDD(router, `log stdout
debug bfd peer
bfd
`+bfddPeers("10.77.0.2 interface eth0", "10.77.0.3 interface eth0", "fd00::2 local-address fd00::1 interface eth0",
		"fd00::3 local-address fd00::1 interface eth0", "fe80::2 local-address fe80::1 interface eth0", "fe80::3 local-address fe80::1 interface eth0"))
	packets := capture.Start(router, "eth0", bfdPort, "-v")
	c.answering()
	c.startAll()
	c.awaitBFD(c.master)
	c.awaitBFD(c.backup)
	for _, address := range []string{`10\.77\.0\.`, "fd00::", "fe80::"} {
		bfdd.WaitLog(address+`2.* -> up`, soon)
		bfdd.WaitLog(address+`3.* -> up`, soon)
	}

	link := c.master.Link("eth0")
	for _, cut := range []struct{ session, packets string }{
		{"upstream", "ip and " + bfdPort},
		{"upstream6", bfdPort + " and host fd00::1"},
		{"local", bfdPort + " and host fe80::1"},
	} {
		link.Drop(lab.BothWays, cut.packets)
		cutBy := time.Now() // or before: starting the program that cuts takes much longer than the detection
		fault := c.master.daemon.WaitLog(`to=FAULT reason="FAULT: `+cut.session+`: `, soon)
		if took := fault.At.Sub(cutBy); took > 500*time.Millisecond {
			t.Errorf("%s: FAULT after %s", cut.session, took)
		}
		c.awaitHolder(c.backup, soon)
		link.StopDropping()
		c.awaitHolder(c.master, soon)
	}
	c.awaitBFD(c.master)

	c.backup.daemon.Stop()
	bfdd.WaitLog(`10\.77\.0\.3.*(down|neighbor)`, soon)
	for _, want := range []string{
		// Those to lvs-master come from port 49152, which tcpdump takes for another protocol.
		`(?s)10\.77\.0\.1\.[0-9]+ > 10\.77\.0\.3.*State Up.*Desired min Tx Interval: +50 ms`,
		`(?s)10\.77\.0\.2\.[0-9]+ > 10\.77\.0\.1.*State Up, Flags: \[none\].*\(150 ms Detection time\).*Desired min Tx Interval: +50 ms`,
		`(?s)10\.77\.0\.3\.[0-9]+ > 10\.77\.0\.1.*State AdminDown`,
		`(?s)class 0xc0.*hlim 255.*fd00::2\.[0-9]+ > fd00::1.*State Up, Flags: \[none\].*\(150 ms Detection time\)`,
		`(?s)class 0xc0.*hlim 255.*fe80::2\.[0-9]+ > fe80::1.*State Up, Flags: \[none\].*\(150 ms Detection time\)`,
		`(?s)fd00::3\.[0-9]+ > fd00::1.*State AdminDown`,
	} {
		if len(capture.Matching(packets.Packets(), want)) == 0 {
			t.Errorf("no packet matches %s", want)
		}
	}
}
