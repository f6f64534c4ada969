package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// firstAddress returns the first IPv4 address of an interface as listed by ip(8), which keeps the kernel's order: it is
// the source address of sockets that choose none.
func (n *node) firstAddress(device string) string {
	n.t.Helper()
	_, rest, _ := strings.Cut(n.Run("ip", "-o", "-4", "addr", "show", "dev", device), " inet ")
	first, _, _ := strings.Cut(rest, " ")
	return first
}

// heldBehindOwnAddress returns nil if only the node holds the VIP, listed after its own address.
func (c *cluster) heldBehindOwnAddress(n *node) error {
	if err := c.heldOnlyBy(n); err != nil {
		return err
	}
	if first := n.firstAddress("eth0"); !strings.HasSuffix(first, "/24") {
		return fmt.Errorf("the first address of %s is %s:\n%s", n.Name, first, n.Run("ip", "-o", "-4", "addr"))
	}
	return nil
}

// TestForeignInterface: after any change to the interface and address of a MASTER there is one holder of the VIP again;
// no VIP stays without a director that controls it, and no advert has the VIP as its source.
//
// Proves docs/operations.md: "the director's own address deleted | FAULT, the peer takes over; recovers when the
// address is back. Another address of the interface is sufficient"
// Proves docs/operations.md: "own address deleted and added again at once | the VIP would precede it and become a
// source address: it is moved behind it"
// Proves docs/operations.md: "`ip addr flush`, `ip link set down`, the interface deleted or renamed | FAULT with the
// reason; the VIP does not stay on an interface of another name"
// Proves docs/operations.md: "If that does not help twice, it stays, and `vip_misplaced` is reported"
func TestForeignInterface(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	adverts := []*capture.Capture{capture.Start(c.client, "eth0", lab.VRRP), capture.Start(c.mysql1.Host, "eth0", lab.VRRP)}
	m := c.master
	returns := func(t *testing.T) {
		t.Helper()
		lab.Eventually(t, soon, func() error { return c.heldBehindOwnAddress(m) })
	}
	takesOver := func(t *testing.T) {
		t.Helper()
		lab.Eventually(t, soon, func() error { return c.heldOnlyBy(c.backup) })
	}
	batch := func(lines ...string) { m.Run("ip", "-batch", c.net.File("batch", strings.Join(lines, "\n")+"\n")) }

	t.Run("own address deleted", func(t *testing.T) {
		mark := m.daemon.Mark()
		m.Run("ip", "addr", "del", "10.77.0.2/24", "dev", "eth0")
		takesOver(t)
		mark.WaitLog("FAULT: the interface eth0 has no IPv4 address of its own", soon)
		m.Run("ip", "addr", "add", "10.77.0.2/24", "dev", "eth0")
		returns(t)
	})
	t.Run("own address deleted and back at once", func(t *testing.T) {
		batch("addr del 10.77.0.2/24 dev eth0", "addr add 10.77.0.2/24 dev eth0")
		returns(t)
	})
	t.Run("own address replaced by the next one", func(t *testing.T) {
		lab.LongPart(t)
		m.Sysctl("net.ipv4.conf.all.promote_secondaries", "1")
		other := capture.Start(c.client, "eth0", lab.VRRP)
		batch("addr add 10.77.0.5/24 dev eth0", "addr del 10.77.0.2/24 dev eth0")
		other.Wait(`10\.77\.0\.5 > 224`, soon)
		other.Stop()
		returns(t)
		batch("addr add 10.77.0.2/24 dev eth0", "addr del 10.77.0.5/24 dev eth0")
		returns(t)
	})
	t.Run("own address secondary", func(t *testing.T) {
		lab.LongPart(t)
		m.Sysctl("net.ipv4.conf.all.promote_secondaries", "1")
		mark := m.daemon.Mark()
		batch("addr del 10.77.0.2/24 dev eth0", "addr add "+vip+"/24 dev eth0", "addr add 10.77.0.2/24 dev eth0")
		mark.WaitLog("VIPs are still listed before the interface's own address; not moving them again", soon)
		monitor := m.Start("monitor", "ip", "monitor", "address")
		lab.Consistently(t, 3*time.Second, func() error {
			if log := monitor.Log(); strings.Contains(log, "Deleted") {
				return fmt.Errorf("the VIP is moved again:\n%s", log)
			}
			return nil
		})
		monitor.Kill()
		m.checkWarns(t, "moving them did not help", true)
		batch("addr del " + vip + "/24 dev eth0") // the own address is promoted
		returns(t)
		lab.Eventually(t, soon, func() error {
			if out, err := m.ctl("status", "--check"); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	})
	t.Run("addresses flushed", func(t *testing.T) {
		m.Run("ip", "-4", "addr", "flush", "dev", "eth0")
		takesOver(t)
		m.Run("ip", "addr", "add", "10.77.0.2/24", "dev", "eth0")
		returns(t)
	})
	t.Run("down and up", func(t *testing.T) {
		m.Run("ip", "link", "set", "eth0", "down")
		takesOver(t)
		m.Run("ip", "link", "set", "eth0", "up")
		returns(t)
		batch("link set eth0 down", "link set eth0 up")
		returns(t)
	})
	t.Run("lo down and up", func(t *testing.T) {
		lab.LongPart(t)
		m.Run("ip", "link", "set", "lo", "down")
		client := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond})
		client.WaitAnswered("", soon)
		m.Run("ip", "link", "set", "lo", "up")
		client.WaitAnswered("", soon)
		client.Stop()
		returns(t)
	})
	t.Run("renamed", func(t *testing.T) {
		c.renamed(t, takesOver, returns)
	})
	for _, seen := range adverts {
		noAdvertFromVIP(t, seen.Stop())
	}
}

// renamed renames the interface of the MASTER and renames it back. The VIP must be removed from it before its lease
// ends.
func (c *cluster) renamed(t *testing.T, takesOver, returns func(*testing.T)) {
	t.Helper()
	m := c.master
	addresses := m.monitor()
	// Older kernels rename an interface only while it is down.
	if _, err := m.Try("ip", "link", "set", "eth0", "name", "wan0"); err != nil {
		m.Run("ip", "-batch", c.net.File("batch", "link set eth0 down\nlink set eth0 name wan0\nlink set wan0 up\n"))
	}
	done := time.Now()
	if kept := addresses.WaitLog("^Deleted .* "+vipPrefix+" ", soon).At.Sub(done); kept > time.Second+allowance {
		t.Errorf("the VIP stayed on the renamed interface for %s, want at most 1 s", kept)
	}
	takesOver(t)
	if reason := m.status().Instances[0].Reason; !strings.Contains(reason, "the interface eth0 does not exist") {
		t.Errorf("the reason is %q", reason)
	}
	m.Run("ip", "-batch", c.net.File("batch", "link set wan0 down\nlink set wan0 name eth0\nlink set eth0 up\n"))
	returns(t)
	if testing.Short() {
		return
	}
	// A renamed interface on the BACKUP does not affect the service.
	b := c.backup
	b.Run("ip", "-batch", c.net.File("batch", "link set eth0 down\nlink set eth0 name wan0\nlink set wan0 up\n"))
	lab.Eventually(t, soon, func() error { return b.stateIs("FAULT") })
	b.Run("ip", "-batch", c.net.File("batch", "link set wan0 down\nlink set wan0 name eth0\nlink set eth0 up\n"))
	lab.Eventually(t, soon, func() error { return b.stateIs("BACKUP") })
	returns(t)
}

// TestLateInterface: an interface may be created after the daemon starts, be deleted, and be created again under the
// same name: multicast membership, sockets and gratuitous ARP follow.
//
// Proves docs/operations.md: "an interface that appears later, or again, also from another network namespace | used at once"
func TestLateInterface(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	c.edit("interface: eth0", "interface: vr0")
	c.answering()
	for _, n := range []*node{c.mysql1, c.mysql2, c.master, c.backup} {
		n.start()
	}
	c.master.daemon.WaitLog("FAULT: the interface vr0 does not exist", soon)
	// vr0 has an address of the same network; eth0 keeps its own for the checks.
	vr0 := func(n *node, address string) string {
		return n.writeFile("batch", "link add link eth0 name vr0 type macvlan mode bridge\naddr add "+address+"/24 dev vr0\nlink set vr0 up\n")
	}
	master, backup := vr0(c.master, "10.77.0.102"), vr0(c.backup, "10.77.0.103")
	c.master.Run("ip", "-batch", master)
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	lab.Eventually(t, soon, func() error { return c.heldOn("vr0", c.master) })
	c.backup.Run("ip", "-batch", backup)
	lab.Eventually(t, soon, func() error { return c.backup.stateIs("BACKUP") })

	t.Run("deleted", func(t *testing.T) {
		c.master.Run("ip", "link", "del", "vr0")
		lab.Eventually(t, soon, func() error { return c.heldOn("vr0", c.backup) })
		arp := capture.Start(c.client, "eth0", "arp and arp[14:4] = 0x0a4d0064")
		c.master.Run("ip", "-batch", master)
		lab.Eventually(t, soon, func() error { return c.heldOn("vr0", c.master) })
		arp.Wait("Reply "+vip+" is-at "+c.master.hardwareAddress("vr0"), soon)
		arp.Stop()
	})
	t.Run("replaced at once", func(t *testing.T) {
		again := c.master.writeFile("again", "link del vr0\n"+c.master.ReadFile(master))
		c.master.Run("ip", "-batch", again)
		arp := capture.Start(c.client, "eth0", lab.VRRP+" and ether src "+c.master.hardwareAddress("vr0"))
		arp.Wait("10.77.0.102 > 224", soon)
		arp.Stop()
		lab.Eventually(t, soon, func() error { return c.heldOn("vr0", c.master) })
		lab.Eventually(t, soon, func() error { return c.backup.stateIs("BACKUP") })
	})
	t.Run("moved to another network namespace and back at once", func(t *testing.T) {
		c.backup.Run("sh", "-ec", fmt.Sprintf(`ip netns add away
			ip link set vr0 netns away
			ip -n away link set vr0 netns %d
			ip netns del away
			ip addr add 10.77.0.103/24 dev vr0
			ip link set vr0 up`, c.backup.daemon.PID()))
		// It has the same index, but no socket is a member of the multicast group any more.
		lab.Eventually(t, soon, func() error { return c.backup.stateIs("BACKUP") })
		lab.Consistently(t, time.Second, func() error { return c.heldOn("vr0", c.master) })
		c.backup.awaitReceiving()
	})
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	client := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond})
	client.WaitAnswered("", soon)
	client.Stop()
	// The directors' addresses on vr0 are 10.77.0.102 and .103; the VIP is 10.77.0.100.
	for _, p := range capture.Matching(adverts.Stop(), `10\.77\.0\.100 > 224`) {
		t.Errorf("the VIP is the source address: %s", p.Text)
	}
}

// awaitReceiving waits until the node has received another advert.
func (n *node) awaitReceiving() {
	n.t.Helper()
	before := n.status().Instances[0].AdvertsReceived
	lab.Eventually(n.t, soon, func() error {
		if n.status().Instances[0].AdvertsReceived == before {
			return fmt.Errorf("%s receives no adverts", n.Name)
		}
		return nil
	})
}

// writeFile writes a file in the node's directory and returns its path.
func (n *node) writeFile(name, content string) string {
	n.t.Helper()
	path := n.Path(name)
	n.Run("sh", "-c", "cat >"+path+" <<'EOF'\n"+content+"EOF")
	return path
}

func (n *node) hardwareAddress(device string) string {
	n.t.Helper()
	return strings.TrimSpace(n.ReadFile("/sys/class/net/" + device + "/address"))
}

// heldOn returns nil if only the node holds the VIP, on this device and after its own address.
func (c *cluster) heldOn(device string, n *node) error {
	if err := c.heldOnlyBy(n); err != nil {
		return err
	}
	if first := n.firstAddress(device); !strings.HasSuffix(first, "/24") {
		return fmt.Errorf("the first address of %s on %s is %q", device, n.Name, first)
	}
	return nil
}

// TestInterfaceComesLater: a missing interface does not end the director: the instance is in FAULT with the reason, and
// works once the interface is created.
//
// Proves docs/operations.md: "A missing interface does not prevent a start: the instance is in FAULT until the
// interface appears."
func TestInterfaceComesLater(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: relaxedAdvert.String()})
	c.rewrite("interface: eth0", "interface: lan7")
	n := c.master
	n.start()
	n.daemon.WaitLog("msg=directing", soon)
	lab.Eventually(t, soon, func() error { return n.stateIs("FAULT") })
	if reason := n.status().Instances[0].Reason; !strings.Contains(reason, "interface lan7 does not exist") {
		t.Errorf("the reason of FAULT is %q", reason)
	}
	if n.holds() {
		t.Error("an interface has the VIP")
	}
	n.Run("ip", "link", "add", "lan7", "type", "veth", "peer", "name", "far7")
	n.Run("ip", "addr", "add", "10.78.0.2/24", "dev", "lan7")
	n.Run("ip", "link", "set", "far7", "up")
	n.Run("ip", "link", "set", "lan7", "up")
	lab.Eventually(t, soon, func() error {
		if out := n.Run("ip", "-oneline", "addr", "show", "dev", "lan7", "to", vipPrefix); !strings.Contains(out, vipPrefix) {
			return errors.New("the VIP is not on lan7")
		}
		return nil
	})
	adverts := capture.Start(n.Host, "far7", lab.VRRP)
	adverts.Wait(`10\.78\.0\.2 > 224\.0\.0\.18: .*prio 150`, soon)
	adverts.Stop()
	n.Run("ip", "link", "del", "lan7")
	lab.Eventually(t, soon, func() error { return n.stateIs("FAULT") })
	if !n.daemon.Running() {
		t.Error("the director has exited")
	}
}
