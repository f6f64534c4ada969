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

// pair is two directors on one network, without real servers.
type pair struct {
	t              *testing.T
	net            *lab.Network
	lan            *lab.Bridge
	master, backup *node
	vip            string
}

// newPair makes the hosts; more is a further line of the instance in their cluster file.
func newPair(t *testing.T, r timing, more string) *pair {
	t.Helper()
	p := &pair{t: t, net: lab.New(t), vip: vip}
	p.lan = p.net.Bridge("lan")
	file := p.net.File("cluster.yaml", fileHeader(r.version, r.advert.String(), true, more)+resignsAtOnce+"\n")
	p.master = newNode(t, p.net.Host("lvs-master", p.lan.At("10.77.0.2/24")), "lvs-director", file)
	p.backup = newNode(t, p.net.Host("lvs-backup", p.lan.At("10.77.0.3/24")), "lvs-director", file)
	return p
}

// awaitHolder waits until only one of the pair holds the VIP.
func (p *pair) awaitHolder(n *node, timeout time.Duration) {
	p.t.Helper()
	lab.Eventually(p.t, timeout, func() error { return p.heldBy(n) })
}

func (p *pair) heldBy(n *node) error {
	if holders := lab.Holders(p.vip, p.master.Host, p.backup.Host); len(holders) != 1 || holders[0] != n.Name {
		return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
	}
	return nil
}

// newUnicastPair6 makes a pair whose addresses and VIP are of IPv6, with unicast.
func newUnicastPair6(t *testing.T, r timing) *pair {
	t.Helper()
	p := &pair{t: t, net: lab.New(t), vip: vip6}
	p.lan = p.net.Bridge("lan")
	four := fileHeader(r.version, r.advert.String(), true, "unicast_peers: true\n    unicast_min_ttl: 64") + resignsAtOnce + "\n" // keepalived's
	file := p.net.File("cluster.yaml", strings.NewReplacer(vip+"/32", vip6, "10.77.0.", "fd00:77::").Replace(four))
	p.master = newNode(t, p.net.Host("lvs-master", p.lan.At("fd00:77::2/64")), "lvs-director", file)
	p.backup = newNode(t, p.net.Host("lvs-backup", p.lan.At("fd00:77::3/64")), "lvs-director", file)
	lab.Eventually(t, soon, func() error { // a keepalived without its source address stays in FAULT
		for _, n := range []*node{p.master, p.backup} {
			if out := n.Run("ip", "-6", "addr", "show", "dev", "eth0", "tentative"); out != "" {
				return fmt.Errorf("%s has tentative addresses: %s", n.Name, out)
			}
		}
		return nil
	})
	return p
}

// steady checks for three advert intervals that only the node holds the VIP.
func (p *pair) steady(n *node, r timing) {
	p.t.Helper()
	p.awaitHolder(n, soon)
	lab.Consistently(p.t, 3*r.advert, func() error { return p.heldBy(n) })
}

// unicastKeepalived is a keepalived with unicast_peer.
var (
	unicastKeepalived  = product{"keepalived", func(n *node, r timing) *lab.Daemon { return startUnicastKeepalived(n, r, "10.77.0.", vip+"/32") }}
	unicastKeepalived6 = product{"keepalived", func(n *node, r timing) *lab.Daemon { return startUnicastKeepalived(n, r, "fd00:77::", vip6) }}
)

// startUnicastKeepalived: the addresses of the pair are network2 and network3.
func startUnicastKeepalived(n *node, r timing, network, vip string) *lab.Daemon {
	priority, own, peer := 100, "3", "2"
	if n.Name == "lvs-master" {
		priority, own, peer = 150, "2", "3"
	}
	n.daemon = lab.StartKeepalived(n.Host, fmt.Sprintf(`vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int %g
  version %d
  unicast_src_ip %s%s
  unicast_peer { %s%s }
  virtual_ipaddress { %s }
}
`, priority, r.advert.Seconds(), r.version, network, own, network, peer, vip))
	return n.daemon
}

// noMulticast checks that no director has sent an advert by multicast, and returns the adverts.
func noMulticast(t *testing.T, c *capture.Capture) []capture.Packet {
	t.Helper()
	adverts := capture.Matching(c.Stop(), "VRRP")
	for _, p := range adverts {
		if strings.Contains(p.Text, "> 224.") || strings.Contains(p.Text, "> ff02:") {
			t.Errorf("an advert by multicast: %s", p.Text)
		}
	}
	if len(adverts) < 3 {
		t.Errorf("only %d adverts: %v", len(adverts), adverts)
	}
	return adverts
}

// TestUnicast: a keepalived with unicast_peer as MASTER and our director as BACKUP. The VIP moves to ours and back, and
// no advert leaves by multicast.
//
// Proves docs/operations.md: "With `unicast_peers` adverts go to each peer's address, and none to the multicast group."
func TestUnicast(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	r := timing{3, 100 * time.Millisecond}
	p := newPair(t, r, "unicast_peers: true")
	for _, n := range []*node{p.master, p.backup} {
		n.Run("ip", "link", "set", "eth0", "multicast", "off")
	}
	unicastKeepalived.start(p.master, r)
	p.awaitHolder(p.master, soon)
	wire := capture.Start(p.backup.Host, "eth0", lab.VRRP)
	p.backup.start()
	p.backup.daemon.WaitLog("received the first advert of another director", soon)
	p.backup.awaitCheck(0, "")
	p.steady(p.master, r)
	p.master.daemon.Stop()
	p.steady(p.backup, r)
	unicastKeepalived.start(p.master, r)
	p.steady(p.master, r)
	adverts := noMulticast(t, wire)
	for _, way := range []string{`10\.77\.0\.2 > 10\.77\.0\.3: .*VRRPv3`, `10\.77\.0\.3 > 10\.77\.0\.2: .*VRRPv3`} {
		if len(capture.Matching(adverts, way)) == 0 {
			t.Errorf("no advert %s", way)
		}
	}
	if peers := p.backup.status().Instances[0].UnicastPeers; len(peers) != 1 || peers[0].Address != "10.77.0.2" || peers[0].LastHeard.IsZero() {
		t.Errorf("status has the peers %+v, want 10.77.0.2, which was heard", peers)
	}
}

// TestUnicastInterop: a pair of one lvs-director and one keepalived 2.2.7 with unicast, each as MASTER and as BACKUP. In
// every second cycle the MASTER resigns, in the others it falls silent.
//
// Proves docs/operations.md: "A keepalived with `unicast_peer` is such a peer, with version 3 of either family and with version 2."
func TestUnicastInterop(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Release(t)
	fast, slow := timing{3, 100 * time.Millisecond}, timing{2, time.Second}
	four := func(t *testing.T, r timing) *pair { return newPair(t, r, "unicast_peers: [10.77.0.2, 10.77.0.3]") }
	for _, c := range []struct {
		name       string
		r          timing
		pair       func(*testing.T, timing) *pair
		keepalived product
		cycles     int
	}{
		{"IPv4", fast, four, unicastKeepalived, interopCycles()},
		{"IPv6", fast, newUnicastPair6, unicastKeepalived6, interopCycles()},
		{"version 2", slow, four, unicastKeepalived, 2}, // 12 s each
	} {
		for name, one := range map[string][2]product{
			"keepalived is the backup": {lvsDirector, c.keepalived},
			"keepalived is the master": {c.keepalived, lvsDirector},
		} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				p := c.pair(t, c.r)
				wire := capture.Start(p.backup.Host, "eth0", "proto 112 or ip6 proto 112")
				one[0].start(p.master, c.r)
				one[1].start(p.backup, c.r)
				p.takeTurns(one[0], c.r, c.cycles)
				noMulticast(t, wire)
			})
		}
	}
}

// takeTurns lets the VIP move to lvs-backup and back, by a resignation and a silence in turn. The time that it takes is that
// between adverts: from the resignation, or the last advert, to the first one of lvs-backup.
func (p *pair) takeTurns(master product, r timing, cycles int) {
	p.t.Helper()
	wire := capture.Start(p.backup.Host, "eth0", "proto 112 or ip6 proto 112")
	p.steady(p.master, r)
	for cycle := range cycles {
		begun, last, within := time.Now(), "prio 0,", r.skew()+takeoverAllowance
		if cycle%2 == 0 {
			p.master.daemon.Stop()
		} else {
			p.master.daemon.Kill()
			p.master.Run("ip", "addr", "flush", "to", p.vip) // keepalived's VIP would stay forever
			last, within = "prio 150,", r.masterDown()+takeoverAllowance
		}
		p.awaitHolder(p.backup, soon)
		p.steady(p.backup, r)
		first := adverts(wire, "prio 100,", begun)
		ended := adverts(wire, last, begun.Add(-r.advert))
		switch {
		case len(ended) == 0 || len(first) == 0:
			p.t.Errorf("cycle %d: %d packets with %s and %d with prio 100", cycle, len(ended), last, len(first))
		default:
			took := first[0].Time.Sub(ended[len(ended)-1].Time)
			p.t.Logf("cycle %d: lvs-backup takes over after %s", cycle, took.Round(time.Millisecond))
			if took > within {
				p.t.Errorf("cycle %d: lvs-backup takes over after %s, want at most %s", cycle, took, within)
			}
		}
		master.start(p.master, r)
		p.steady(p.master, r)
	}
}

// adverts are the captured packets since a time that match.
func adverts(wire *capture.Capture, pattern string, since time.Time) []capture.Packet {
	return slices.DeleteFunc(capture.Matching(wire.Packets(), pattern), func(p capture.Packet) bool { return p.Time.Before(since) })
}
