package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// bfddPeers is bfdd's configuration with sessions of this interval with these peers.
func bfddPeers(interval time.Duration, peers ...string) string {
	var b strings.Builder
	b.WriteString("log stdout\ndebug bfd peer\nbfd\n")
	for _, p := range peers {
		fmt.Fprintf(&b, " peer %s\n  receive-interval %d\n  transmit-interval %[2]d\n !\n", p, interval.Milliseconds())
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
	bfdd := lab.StartBFDD(router, bfddPeers(50*time.Millisecond, "10.77.0.2 interface eth0", "10.77.0.3 interface eth0", "fd00::2 local-address fd00::1 interface eth0",
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

// TestBFDWithFRRTakeOver: lvs-backup beside a machine with keepalived, adverts every second, and FRR's bfdd, which sends every
// 10 ms. When that machine is cut off, and when its keepalived and bfdd die, a client's outage is at most 60 ms.
//
// Proves docs/operations.md: "If the other director is still keepalived, FRR's bfdd on its machine is the other end of the
// session, and a client's outage is as short."
func TestBFDWithFRRTakeOver(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived, lab.FRR)
	lab.Long(t)
	r := timing{3, time.Second}
	c := newCluster(t, shape{instance: "peer_bfd: {interval: 10ms, multiplier: 3}"})
	c.answering()
	// The first session's packets come from port 49152, which tcpdump takes for another protocol.
	bfdd := lab.StartBFDD(c.master.Host, bfddPeers(10*time.Millisecond, "10.77.0.99 local-address 10.77.0.2 interface eth0", "10.77.0.3 local-address 10.77.0.2 interface eth0"))
	both := fault{name: "keepalived and bfdd killed", begin: func(n *node) {
		bfdd.Kill()
		n.daemon.Kill()
	}}
	c.mysql1.start()
	c.mysql2.start()
	keepalived.start(c.master, r)
	c.backup.start()
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
	for _, f := range []fault{framesDropped, both} {
		c.awaitHolder(c.master, soon)
		if f.end == nil { // the second fault: the client knows lvs-backup
			c.awaitARPEntry(c.master)
		}
		c.awaitBFD(c.backup)
		theirs := c.judgeFastBFD()
		gap, announced := c.failMaster(f, func() { c.awaitBFDCounts(c.backup) })
		t.Logf("%s: announced after %s, gap %s; bfdd sent %s", f.name, announced, gap, theirs)
		if gap.Duration > 60*time.Millisecond {
			t.Errorf("%s: the client got no answer for %s; bfdd sent %s", f.name, gap, theirs)
		}
		// From the last advert, which is up to an interval older than the fault; without BFD it is more than three.
		if announced > time.Second+60*time.Millisecond+2*allowance {
			t.Errorf("%s: lvs-backup announced the VIP %s after the last advert of keepalived", f.name, announced)
		}
		c.backup.daemon.WaitLog(`from=BACKUP to=MASTER reason="MASTER: 10\.77\.0\.2 is down according to BFD: silent for [0-9]+ms"`, soon)
		if f.end != nil {
			time.Sleep(4 * time.Second) // a shorter outage counts as a false alarm
			f.end(c.master)
		}
	}
}

// judgeFastBFD waits until tcpdump has read that both sides of a session send every 10 ms and detect within 30 ms, and returns how
// far apart bfdd's packets were.
func (c *cluster) judgeFastBFD() string {
	c.t.Helper()
	capturing := capture.Start(c.backup.Host, "eth0", bfdPort, "-v")
	for _, way := range []string{`10\.77\.0\.2\.[0-9]+ > 10\.77\.0\.3`, `10\.77\.0\.3\.[0-9]+ > 10\.77\.0\.2`} {
		want := `(?s)` + way + `.*State Up, Flags: \[none\].*\(30 ms Detection time\).*Desired min Tx Interval: +10 ms\s+Required min Rx Interval: +10 ms`
		lab.Eventually(c.t, soon, func() error {
			if len(capture.Matching(capturing.Packets(), want)) < 50 {
				return fmt.Errorf("fewer than 50 packets match %s", want)
			}
			return nil
		})
	}
	packets := capturing.Stop()
	var pauses []time.Duration
	theirs := capture.Matching(packets, `10\.77\.0\.2\.[0-9]+ > 10\.77\.0\.3`)
	for n := 1; n < len(theirs); n++ {
		pauses = append(pauses, theirs[n].Time.Sub(theirs[n-1].Time))
	}
	if len(pauses) == 0 {
		c.t.Fatal("bfdd has sent nothing")
	}
	slices.Sort(pauses)
	return fmt.Sprintf("%d packets, median pause %s, longest %s", len(theirs), pauses[len(pauses)/2], pauses[len(pauses)-1])
}
