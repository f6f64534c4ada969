package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

const (
	vip6       = "fd00:77::100"
	vip6Prefix = "fd00:77::100/128"
)

// newPair6 makes two directors and a client with addresses of both families. The directors themselves answer on the VIP
// of IPv6, which is that of the only instance; more are further keys of it.
func newPair6(t *testing.T, advert time.Duration, more string) *cluster {
	t.Helper()
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	c.file = c.net.File("cluster.yaml", fmt.Sprintf(`version: 1
stop_timeout: 0s
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - name: six
    interface: eth0
    virtual_router_id: 51
    advert_interval: %s
    virtual_addresses: ["%s"]
    %s
    per_node:
      lvs-master: {priority: 150}
`, advert, vip6, more))
	director := func(name, address, address6 string) *node {
		n := newNode(t, c.net.Host(name, c.lan.At(address, address6)), "lvs-director", c.file)
		standin.Start(n.Host, "[::]:3306", name)
		return n
	}
	c.master, c.backup = director("lvs-master", "10.77.0.2/24", "fd00:77::2/64"), director("lvs-backup", "10.77.0.3/24", "fd00:77::3/64")
	c.client = c.net.Host("client", c.lan.At("10.77.0.50/24", "fd00:77::50/64"))
	for _, n := range []*node{c.master, c.backup} { // keepalived becomes MASTER before, and cannot send then
		lab.Eventually(t, soon, func() error {
			if out := n.Run("ip", "-6", "addr", "show", "dev", "eth0", "tentative"); out != "" {
				return fmt.Errorf("%s still looks for machines with its addresses: %s", n.Name, out)
			}
			return nil
		})
	}
	return c
}

// startKeepalived6 starts keepalived on the node instead of our director.
func startKeepalived6(n *node, r timing) *lab.Daemon {
	n.daemon = lab.StartKeepalived(n.Host, keepalivedConf6(n.Name, r))
	return n.daemon
}

func keepalivedConf6(name string, r timing) string {
	return fmt.Sprintf(`vrrp_instance six {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int %g
  version 3
  virtual_ipaddress { %s }
}
`, map[bool]int{true: 150, false: 100}[name == "lvs-master"], r.advert.Seconds(), vip6)
}

var keepalived6 = product{"keepalived", startKeepalived6}

func holdsVIP6(c *cluster, n *node) error {
	if holders := lab.Holders(vip6, c.master.Host, c.backup.Host); len(holders) != 1 || holders[0] != n.Name {
		return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
	}
	return nil
}

func awaitHolder6(c *cluster, n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error { return holdsVIP6(c, n) })
}

// awaitNeighbour6 waits until the client's neighbour entry of the VIP has the node's MAC address.
func awaitNeighbour6(c *cluster, n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		if at := c.client.Run("ip", "neigh", "show", vip6); !strings.Contains(at, n.mac()) {
			return fmt.Errorf("the client's neighbour table has %q, want the MAC address of %s, %s", at, n.Name, n.mac())
		}
		return nil
	})
}

// packetsOf returns the packets that a node sent.
func packetsOf(packets []capture.Packet, n *node, pattern string) []capture.Packet {
	return capture.Matching(capture.Matching(packets, `(?s)^`+n.mac()+` > `), pattern)
}

// TestIPv6: beside a keepalived of IPv6 our director takes the VIP, gives it up and takes it again, and its client is
// answered by the holder. Its packets are as RFC 9568 and RFC 4861 say.
//
// Proves docs/index.md: "VRRP version 3 (RFC 9568) on IPv4 and IPv6 and version 2 (RFC 3768) on IPv4, with or without
// preemption, interoperable with keepalived (version 3, or version 2 with or without a password)."
// Proves docs/packet-flow.md: "A VIP of IPv6 is announced at the same times by an unsolicited neighbour advertisement to all
// nodes, with the override flag and the MASTER's MAC."
func TestIPv6(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	r := timing{3, 200 * time.Millisecond}
	c := newPair6(t, r.advert, "")
	segment := capture.Start(c.client, "eth0", "ip6 proto 112 or icmp6[0] = 136", "-vv")
	startKeepalived6(c.backup, r)
	awaitHolder6(c, c.backup)
	m := measure.Start(c.client, "["+vip6+"]:3306", measure.Options{Every: 20 * time.Millisecond})
	m.WaitAnswered("lvs-backup", soon)

	started := time.Now()
	c.master.start()
	awaitHolder6(c, c.master)
	m.WaitAnswered("lvs-master", soon)
	awaitNeighbour6(c, c.master)
	healthy(t, c.master)
	c.master.daemon.Stop()
	m.WaitAnswered("lvs-backup", soon)
	awaitHolder6(c, c.backup)
	awaitNeighbour6(c, c.backup)
	result := m.Stop()
	// Duplicate address detection would take a second.
	if gap := result.Since(started).LongestGap(); gap.Duration > r.skew()+takeoverAllowance+200*time.Millisecond {
		t.Errorf("the client was without an answer for %s", gap)
	} else {
		t.Logf("the client's longest gap in two take-overs: %s", gap)
	}

	packets := segment.Stop()
	ours, theirs := packetsOf(packets, c.master, "ff02::12"), packetsOf(packets, c.backup, "ff02::12")
	if len(ours) < 2 || len(theirs) < 2 {
		t.Fatalf("%d adverts of ours, %d of keepalived", len(ours), len(theirs))
	}
	const advert = ` > 33:33:00:00:00:12, ethertype IPv6 \(0x86dd\), length 78: \(class 0xc0, flowlabel 0x[0-9a-f]+, hlim 255, ` +
		`next-header VRRP \(112\) payload length: 24\) fe80::[0-9a-f:]+ > ff02::12: VRRPv3, Advertisement, vrid 51, prio %s, intvl 20cs, length 24, addrs: fd00:77::100$`
	for _, p := range ours {
		if len(capture.Matching([]capture.Packet{p}, fmt.Sprintf(advert, "(150|0)"))) == 0 {
			t.Errorf("our advert: %s", p.Text)
		}
	}
	for _, p := range theirs { // the two look the same
		if len(capture.Matching([]capture.Packet{p}, fmt.Sprintf(advert, "100"))) == 0 {
			t.Errorf("keepalived's advert: %s", p.Text)
		}
	}
	const announcement = `(?s) > 33:33:00:00:00:01, ethertype IPv6 \(0x86dd\), length 86: \(hlim 255, next-header ICMPv6 \(58\) payload length: 32\) ` +
		`fd00:77::100 > ff02::1: \[icmp6 sum ok\] ICMP6, neighbor advertisement, length 32, tgt is fd00:77::100, Flags \[override\].*destination link-address option \(2\), length 8 \(1\): `
	for _, n := range []*node{c.master, c.backup} {
		sent := packetsOf(packets, n, `> 33:33:00:00:00:01, `)
		if len(sent) == 0 || len(packetsOf(sent, n, announcement+n.mac())) != len(sent) {
			t.Errorf("announcements of %s: %v", n.Name, sent)
		}
	}
}
