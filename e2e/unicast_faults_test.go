package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// setFile gives a node a cluster file of its own, in which the instance has more.
func (p *pair) setFile(n *node, r timing, more string) {
	n.file = p.net.File(n.Name+".yaml", fileHeader(r.version, r.advert.String(), true, more))
}

// reload gives a node another file and reloads it.
func (p *pair) reload(n *node, r timing, more string) {
	p.t.Helper()
	p.setFile(n, r, more)
	if out, err := n.ctl("reload"); err != nil {
		p.t.Fatalf("%s: reload: %v: %s", n.Name, err, out)
	}
}

// startBoth starts our directors on both nodes.
func (p *pair) startBoth(r timing) {
	p.t.Helper()
	p.master.start()
	p.backup.start()
	p.steady(p.master, r)
}

// TestTransportIsRolledOut: a pair changes from multicast to unicast and back, in both orders of the reloads, without an
// election.
//
// Proves docs/operations.md: "A director that uses unicast still listens to the multicast group, if its interface allows
// it, so that the change from one to the other can be rolled out"
func TestTransportIsRolledOut(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	p := newPair(t, r, "")
	p.setFile(p.master, r, "")
	p.setFile(p.backup, r, "")
	watches := []*vipWatch{p.master.watchVIP(), p.backup.watchVIP()}
	p.master.start()
	p.master.daemon.WaitLog("to=MASTER", soon) // the one that starts first is MASTER for a moment
	p.backup.start()
	p.steady(p.master, r)
	for _, order := range [][]*node{{p.master, p.backup}, {p.backup, p.master}} {
		for _, more := range []string{"unicast_peers: true", ""} {
			for _, n := range order {
				p.reload(n, r, more)
				lab.Consistently(t, 6*r.advert, func() error { return p.heldBy(p.master) })
			}
			for _, n := range order {
				n.awaitCheck(0, "")
			}
		}
	}
	if m, b := watches[0].periods(), watches[1].periods(); len(m) != 1 || len(b) != 0 {
		t.Errorf("lvs-master held the VIP in %v, lvs-backup in %v, want one period and none", m, b)
	}
}

// TestTransportsDiffer: a keepalived that sends by multicast beside our director that uses unicast, and the reverse. Only
// one holds the VIP, and our status says why nobody would take over.
//
// Proves docs/operations.md: "a router that sends the other way counts as alive"
func TestTransportsDiffer(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	for _, c := range []struct {
		more  string
		other product
		says  string
	}{
		{"unicast_peers: true", keepalived, "10.77.0.2 sends VRRPv3 adverts by multicast for virtual router 51: they are refused"},
		{"", unicastKeepalived, "10.77.0.2 sends VRRPv3 adverts by unicast for virtual router 51: they are refused"},
	} {
		p := newPair(t, r, c.more)
		c.other.start(p.master, r)
		p.awaitHolder(p.master, soon)
		p.backup.start()
		p.backup.awaitCheck(2, c.says)
		lab.Consistently(t, 2*r.masterDown(), func() error { return p.heldBy(p.master) })
		p.master.daemon.Stop()
		p.steady(p.backup, r)
		p.backup.awaitCheck(0, "")
	}
}

// TestSourceOfAdverts: adverts come from the unicast_source or multicast_source of the file. Without it a director is in FAULT, says
// so, and the other one takes the VIP.
//
// Proves docs/operations.md: "While the director does not have its `unicast_source`, the instance is in FAULT."
// Proves docs/vrrp.md: "and the instance is in FAULT while the address is missing"
func TestSourceOfAdverts(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	for _, way := range []struct{ key, more, to string }{
		{"unicast_source", "unicast_peers: [10.77.0.22, 10.77.0.3]", `10\.77\.0\.3`},
		{"multicast_source", "", `224\.0\.0\.18`},
	} {
		t.Run(way.key, func(t *testing.T) {
			p := newPair(t, r, way.more)
			p.master.file = p.net.File("source.yaml", strings.Replace(p.master.ReadFile(p.master.file), "{priority: 150}", "{priority: 150, "+way.key+": 10.77.0.22}", 1))
			p.backup.file = p.master.file
			p.backup.start()
			p.master.start()
			p.steady(p.backup, r)
			why := "FAULT: this director does not have the address 10.77.0.22 (" + way.key + ")"
			p.master.awaitCheck(2, why)
			for range 2 {
				p.master.ip("addr add 10.77.0.22/24 dev eth0")
				wire := capture.Start(p.backup.Host, "eth0", lab.VRRP)
				p.steady(p.master, r)
				wire.Wait(`10\.77\.0\.22 > `+way.to+`: .*prio 150,`, soon)
				wire.Stop()
				p.master.ip("addr del 10.77.0.22/24 dev eth0")
				p.steady(p.backup, r)
				p.master.awaitCheck(2, why)
			}
		})
	}
}

// TestNoPeer: a keepalived whose address is none of the peers sends adverts of the highest priority to both directors. They do not
// follow it, count its adverts and report it, the MASTER as CRITICAL, and the BACKUP takes over from the MASTER beside it as ever.
//
// Proves docs/operations.md: "Adverts from addresses that are no peers are ignored and counted (`not_peer`). They never hold this
// director back."
func TestNoPeer(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	p := newPair(t, r, "unicast_peers: [10.77.0.2, 10.77.0.3]")
	p.startBoth(r)
	stranger := p.net.Host("stranger", p.lan.At("10.77.0.66/24"))
	keepalived := lab.StartKeepalived(stranger, vipsConf(254, r.advert, "unicast_src_ip 10.77.0.66\n  unicast_peer {\n    10.77.0.2\n    10.77.0.3\n  }", vip))
	keepalived.WaitLog("Entering MASTER STATE", soon)
	p.master.awaitCheck(2, "10.77.0.66")
	p.backup.awaitCheck(1, "10.77.0.66 sends adverts of virtual router 51 with priority 254 and is none of the unicast_peers; they are ignored (not_peer)")
	for _, n := range []*node{p.master, p.backup} {
		lab.Eventually(t, soon, func() error {
			if count := n.dropped()["not_peer"]; count < 3 {
				return fmt.Errorf("%s has ignored %d adverts of no peer", n.Name, count)
			}
			return nil
		})
	}
	lab.Consistently(t, 2*r.masterDown(), func() error { return p.heldBy(p.master) })
	p.master.daemon.Kill()
	p.master.ip("addr flush to " + vip)
	p.steady(p.backup, r)
	keepalived.Stop()
	p.master.start()
	p.steady(p.master, r)
	p.master.awaitCheck(0, "")
	p.backup.awaitCheck(0, "")
}

// TestUnicastThroughARouter: two directors on two networks. Behind a router they hear each other only if the file allows
// the TTL that is left; if not, the status says so.
//
// Proves docs/operations.md: "For peers behind routers, allow what is left: `unicast_min_ttl: 254` for one router on the
// way."
func TestUnicastThroughARouter(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	p := &pair{t: t, net: lab.New(t), vip: vip}
	near, far := p.net.Bridge("near"), p.net.Bridge("far")
	router := p.net.Host("router", near.At("10.77.0.1/24"), far.At("10.78.0.1/24"))
	router.Sysctl("net.ipv4.ip_forward", "1")
	file := func(more string) string {
		return strings.ReplaceAll(fileHeader(r.version, r.advert.String(), true, "unicast_peers: true\n"+more), "10.77.0.3", "10.78.0.3")
	}
	p.master = newNode(t, p.net.Host("lvs-master", near.At("10.77.0.2/24")), "lvs-director", p.net.File("cluster.yaml", file("")))
	p.backup = newNode(t, p.net.Host("lvs-backup", far.At("10.78.0.3/24")), "lvs-director", p.master.file)
	p.master.Gateway("10.77.0.1")
	p.backup.Gateway("10.78.0.1")
	p.master.start()
	p.backup.start()
	p.master.awaitCheck(2, "10.78.0.3 sends packets for virtual router 51 with a TTL of less than 255: they are ignored (ttl)")
	p.backup.awaitCheck(2, "10.77.0.2 sends packets for virtual router 51 with a TTL of less than 255: they are ignored (ttl)")
	wire := capture.Start(p.backup.Host, "eth0", lab.VRRP, "-v")
	p.net.File("cluster.yaml", file("    unicast_min_ttl: 254\n"))
	for _, n := range []*node{p.backup, p.master} {
		if out, err := n.ctl("reload"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	p.steady(p.master, r)
	p.master.awaitCheck(0, "")
	p.backup.awaitCheck(0, "")
	p.master.daemon.Kill()
	p.master.Run("ip", "addr", "flush", "to", vipPrefix)
	p.steady(p.backup, r)
	if len(capture.Matching(wire.Stop(), `ttl 254,`)) == 0 {
		t.Error("no advert crossed the router")
	}
}

// TestUnicastIsDropped: a firewall drops the adverts of both directors. Both are MASTER, and both say so as long as it
// lasts, because each sees the other's announcements of the VIP.
//
// Proves docs/operations.md: "neither do two MASTERs whose adverts a firewall drops"
func TestUnicastIsDropped(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	p := newPair(t, r, "unicast_peers: true")
	p.startBoth(r)
	p.backup.Link("eth0").Drop(lab.BothWays, lab.VRRP)
	lab.Eventually(t, soon, func() error {
		if holders := lab.Holders(vip, p.master.Host, p.backup.Host); len(holders) != 2 {
			return fmt.Errorf("the VIP is on %v", holders)
		}
		return nil
	})
	for _, n := range []*node{p.master, p.backup} {
		n.awaitCheck(2, "is claimed by another machine as well")
	}
	for range 8 { // longer than they answer each other's announcements
		time.Sleep(3 * time.Second)
		for _, n := range []*node{p.master, p.backup} {
			if out, err := n.ctl("status", "--check"); lab.ExitCode(err) != 2 {
				t.Errorf("%s: status --check exits with %d: %s", n.Name, lab.ExitCode(err), out)
			}
		}
	}
	p.backup.Link("eth0").StopDropping()
	p.steady(p.master, r)
	p.master.awaitCheck(0, "")
	p.backup.awaitCheck(0, "")
}

// TestMembershipIsRenewed: a switch with IGMP snooping forgets the members of a group when its port goes down, or when it
// restarts, and nobody queries it. The director joins again when the carrier is back, and hears the MASTER again.
//
// Proves docs/vrrp.md: "whenever the interface, its carrier or its address comes back, the socket is opened again and joins
// its groups again"
func TestMembershipIsRenewed(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	r := timing{3, 100 * time.Millisecond}
	const group = "239.77.0.18"
	p := newPair(t, r, "multicast_group: "+group)
	p.lan.Snoop()
	querier := p.net.Host("querier", p.lan.At("10.77.0.9/24"))
	p.startBoth(r)
	members := func(want int) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			if ports := p.lan.Members(group); len(ports) != want {
				return fmt.Errorf("%s has the members %q, want %d", group, ports, want)
			}
			return nil
		})
	}
	outsider := capture.Start(p.net.Host("outsider", p.lan.At()), "eth0", lab.VRRP) // a querier gets everything
	floods := func(since time.Time) (all []capture.Packet) {
		for _, one := range capture.Matching(outsider.Packets(), "VRRP") {
			if one.Time.After(since) {
				all = append(all, one)
			}
		}
		return all
	}
	generalQuery := []byte{0x11, 10, 0xee, 0xf5, 0, 0, 0, 0} // RFC 2236, section 2: answer within a second
	capture.Send(querier, "eth0", netip.MustParseAddr("10.77.0.9"), netip.MustParseAddr("224.0.0.1"), 1, 2, generalQuery)
	members(2)
	var snoops time.Time
	lab.Eventually(t, soon, func() error {
		if snoops = time.Now(); len(floods(snoops.Add(-3*r.advert))) > 0 {
			return fmt.Errorf("the switch still floods the group")
		}
		return nil
	})
	for range 2 {
		p.backup.Link("eth0").CarrierDown()
		p.backup.daemon.WaitLog("to=FAULT", soon)
		members(1)
		back := p.backup.daemon.Mark()
		p.backup.Link("eth0").CarrierUp()
		back.WaitLog("from=FAULT to=BACKUP", soon)
		members(2)
		lab.Consistently(t, 2*r.masterDown(), func() error { return p.heldBy(p.master) })
	}
	p.backup.Run("ip", "link", "set", "eth0", "down")
	p.backup.Run("ip", "link", "set", "eth0", "up")
	members(2)
	lab.Consistently(t, 2*r.masterDown(), func() error { return p.heldBy(p.master) })
	if heard := floods(snoops); len(heard) > 0 {
		t.Errorf("the switch did not snoop: %s", heard[0].Text)
	}
}
