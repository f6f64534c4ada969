package e2e

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// arpKeys are the sysctls that keep a real server from answering ARP for a VIP on its lo (DR).
var arpKeys = []string{
	"net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce",
	"net.ipv4.conf.eth0.arp_ignore", "net.ipv4.conf.eth0.arp_announce",
}

// TestAgent: the agent reverts manual changes of the VIP and of its sysctls on a real server, which therefore keeps
// accepting packets for the VIP without answering ARP for it, and a graceful stop restores the machine.
//
// Proves docs/agent.md: "It reverts changes by other processes within a second and logs the first repair in a minute:"
// Proves docs/agent.md: "On a graceful stop the agent removes the VIP and then restores every sysctl to the value that
// it had before the agent first changed it, unless another process has changed it since:"
// Proves docs/agent.md: "After a crash or `kill -9` everything stays in place, and clients are still served."
func TestAgent(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "300ms"})
	c.answering()
	c.mysql1.Sysctl("net.ipv4.conf.all.arp_announce", "1") // a stop must restore the value found, not a default
	found := map[*node][]string{c.mysql1: c.mysql1.arpSysctls(), c.mysql2: c.mysql2.arpSysctls()}
	c.startAll()
	c.awaitAgent(c.mysql1)
	c.awaitAgent(c.mysql2)
	probe := c.startARPProbe()

	t.Run("VIP deleted", func(t *testing.T) {
		repairs(t, time.Second, c.mysql1.daemon, "VIP was gone: added again.*"+vip, func() {
			c.mysql1.Run("ip", "addr", "del", vipPrefix, "dev", "lo")
		}, c.mysql1.readyForDR)
	})
	t.Run("sysctls reset", func(t *testing.T) {
		for _, key := range arpKeys {
			repairs(t, time.Second, c.mysql1.daemon, "sysctl had been changed: set again.*"+regexp.QuoteMeta(key), func() {
				c.mysql1.Sysctl(key, "0")
			}, c.mysql1.readyForDR)
		}
	})
	probe.noReplyFrom(t, c.mysql1, c.mysql2)

	t.Run("traffic", func(t *testing.T) { // the repaired VIP accepts connections
		m := measure.Start(c.client, vipPort, measure.Options{})
		m.WaitAnswered("mysql1", soon)
		m.WaitAnswered("mysql2", soon)
		m.Stop()
	})

	t.Run("stop", func(t *testing.T) {
		probe := c.startARPProbe()
		for _, n := range []*node{c.mysql1, c.mysql2} {
			if code := n.daemon.Stop(); code != 0 {
				t.Errorf("%s: the agent exited with %d", n.Name, code)
			}
			if n.HasAddress(vip) {
				t.Errorf("%s still has the VIP:\n%s", n.Name, n.Run("ip", "-o", "-4", "addr"))
			}
			if got := n.arpSysctls(); !slices.Equal(got, found[n]) {
				t.Errorf("%s: sysctls %v after the stop, want %v as before the start", n.Name, got, found[n])
			}
		}
		probe.noReplyFrom(t, c.mysql1, c.mysql2) // the VIP must be removed before the sysctls are restored
	})

	t.Run("killed and started again", func(t *testing.T) {
		c.mysql1.start()
		c.awaitAgent(c.mysql1)
		c.mysql1.daemon.Kill()
		if err := c.mysql1.readyForDR(); err != nil { // connections continue while no agent runs
			t.Errorf("after kill -9 of the agent: %v", err)
		}
		c.mysql1.start()
		c.mysql1.daemon.WaitLog("keeping this real server", soon)
		if code := c.mysql1.daemon.Stop(); code != 0 {
			t.Errorf("the agent exited with %d", code)
		}
		if got := c.mysql1.arpSysctls(); !slices.Equal(got, found[c.mysql1]) || c.mysql1.HasAddress(vip) {
			t.Errorf("sysctls %v, VIP %t; want %v, as before the killed agent was started", got, c.mysql1.HasAddress(vip), found[c.mysql1])
		}
	})
}

// TestAgentWithoutTask: on a machine that is not in the cluster file the agent changes nothing and reports that.
//
// Proves docs/agent.md: "On a machine that is not a real server in the cluster file, the agent removes what an earlier
// run left there, logs that and exits with code 2."
func TestAgentWithoutTask(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{})
	before := c.mysql1.arpSysctls()
	unlisted := newNode(t, c.net.Host("unlisted", c.lan.At("10.77.0.60/24")), "lvs-realserver", c.file)
	unlisted.start()
	if code := unlisted.daemon.Wait(soon); code != 2 {
		t.Errorf("exit code %d, want 2 for a machine that is not in the cluster file", code)
	}
	unlisted.daemon.WaitLog("unlisted", soon)
	if got := unlisted.arpSysctls(); !slices.Equal(got, before) {
		t.Errorf("sysctls %v, want %v", got, before)
	}
}

// arpSysctls returns the values of arpKeys, read from /proc/sys.
func (n *node) arpSysctls() []string {
	n.t.Helper()
	values := make([]string, len(arpKeys))
	for i, key := range arpKeys {
		values[i] = n.SysctlValue(key)
	}
	return values
}

// readyForDR returns nil if the real server has what DR needs: the VIP on lo, arp_ignore 1, arp_announce 2.
func (n *node) readyForDR() error {
	n.t.Helper()
	if have := n.Addresses("lo"); !slices.Contains(have, netip.MustParsePrefix(vipPrefix)) {
		return fmt.Errorf("%s: no %s on lo: %v", n.Name, vipPrefix, have)
	}
	if got, want := n.arpSysctls(), []string{"1", "2", "1", "2"}; !slices.Equal(got, want) {
		return fmt.Errorf("%s: %v are %v, want %v", n.Name, arpKeys, got, want)
	}
	return nil
}

// awaitAgent waits until the real server is ready for DR.
func (c *cluster) awaitAgent(n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, n.readyForDR)
}

// An arpProbe is a client that resolves the VIP by ARP in a loop and captures the replies.
type arpProbe struct {
	c       *cluster
	capture *capture.Capture
	loop    *lab.Daemon
}

func (c *cluster) startARPProbe() *arpProbe {
	c.t.Helper()
	a := &arpProbe{c: c, capture: capture.Start(c.client, "eth0", "arp and arp host "+vip)}
	a.loop = c.client.Start("ask", "sh", "-c",
		"while :; do ip neigh del "+vip+" dev eth0; ping -n -c1 -W1 "+vip+" >/dev/null; done")
	a.capture.Wait("Request who-has "+vip, soon)
	return a
}

// noReplyFrom waits for five more replies of lvs-master, ends the probe, and fails the test if one of the servers has
// replied.
func (a *arpProbe) noReplyFrom(t *testing.T, servers ...*node) {
	t.Helper()
	const answer = "Reply " + vip + " is-at "
	director := func() int { return len(capture.Matching(a.capture.Packets(), answer+a.c.master.mac())) }
	before := director()
	lab.Eventually(t, soon, func() error {
		if got := director(); got < before+5 {
			return fmt.Errorf("%s has replied %d times, %d of them before", a.c.master.Name, got, before)
		}
		return nil
	})
	a.loop.Kill()
	packets := a.capture.Stop()
	t.Logf("%d replies", len(capture.Matching(packets, answer)))
	for _, n := range servers {
		for _, p := range capture.Matching(packets, answer+n.mac()) {
			t.Errorf("%s answers ARP for the VIP: %s", n.Name, p.Text)
		}
	}
}
