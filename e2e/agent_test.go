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

// arpKeys are what keeps a real server silent about a VIP on its lo (DR).
var arpKeys = []string{
	"net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce",
	"net.ipv4.conf.eth0.arp_ignore", "net.ipv4.conf.eth0.arp_announce",
}

// TestAgent: whatever somebody changes by hand on a real server, it accepts packets for the VIP and stays silent about
// it, and a stopped agent leaves the machine as it was found.
//
// Proves docs/agent.md: "What somebody changed is set back, within a second, and the first repair in a minute is
// logged:"
// Proves docs/agent.md: "On a graceful stop the VIP goes, then every sysctl gets the value that it had before the agent
// first changed it, unless somebody else set another one meanwhile:"
// Proves docs/agent.md: "After a crash or `kill -9` everything stays, and clients are served on."
func TestAgent(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "300ms"})
	c.answering()
	c.mysql1.Sysctl("net.ipv4.conf.all.arp_announce", "1") // what it gives back is what was there, not a default
	found := map[*node][]string{c.mysql1: c.mysql1.arpSysctls(), c.mysql2: c.mysql2.arpSysctls()}
	c.startAll()
	c.awaitAgent(c.mysql1)
	c.awaitAgent(c.mysql2)
	asking := c.startARPProbe()

	t.Run("VIP deleted", func(t *testing.T) {
		repairs(t, time.Second, c.mysql1.daemon, "VIP was gone: put back.*"+vip, func() {
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
	asking.noReplyFrom(t, c.mysql1, c.mysql2)

	t.Run("traffic", func(t *testing.T) { // the repaired VIP takes connections
		m := measure.Start(c.client, vipPort, measure.Options{})
		m.WaitAnswered("mysql1", soon)
		m.WaitAnswered("mysql2", soon)
		m.Stop()
	})

	t.Run("stop", func(t *testing.T) {
		asking := c.startARPProbe()
		for _, n := range []*node{c.mysql1, c.mysql2} {
			if code := n.daemon.Stop(); code != 0 {
				t.Errorf("%s: agent exits with %d", n.Name, code)
			}
			if n.HasAddress(vip) {
				t.Errorf("%s still has the VIP:\n%s", n.Name, n.Run("ip", "-o", "-4", "addr"))
			}
			if got := n.arpSysctls(); !slices.Equal(got, found[n]) {
				t.Errorf("%s: sysctls %v after the stop, want %v as before the start", n.Name, got, found[n])
			}
		}
		asking.noReplyFrom(t, c.mysql1, c.mysql2) // the VIP goes before the silence does
	})

	t.Run("killed and started again", func(t *testing.T) {
		c.mysql1.start()
		c.awaitAgent(c.mysql1)
		c.mysql1.daemon.Kill()
		if err := c.mysql1.readyForDR(); err != nil { // connections go on while no agent runs
			t.Errorf("after kill -9 of the agent: %v", err)
		}
		c.mysql1.start()
		c.mysql1.daemon.WaitLog("keeping this real server", soon)
		if code := c.mysql1.daemon.Stop(); code != 0 {
			t.Errorf("agent exits with %d", code)
		}
		if got := c.mysql1.arpSysctls(); !slices.Equal(got, found[c.mysql1]) || c.mysql1.HasAddress(vip) {
			t.Errorf("sysctls %v, VIP %t; want %v, as before the agent that was killed", got, c.mysql1.HasAddress(vip), found[c.mysql1])
		}
	})
}

// TestAgentWithoutTask: on a machine that the cluster file does not name the agent changes nothing, and says so.
//
// Proves docs/agent.md: "On a machine that the cluster file does not name as a real server, the agent takes back what
// an earlier run left there, says so and ends with exit code 2."
func TestAgentWithoutTask(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{})
	before := c.mysql1.arpSysctls()
	stranger := newNode(t, c.net.Host("stranger", c.lan.At("10.77.0.60/24")), "lvs-realserver", c.file)
	stranger.start()
	if code := stranger.daemon.Wait(soon); code != 2 {
		t.Errorf("exit code %d, want 2 for a machine that is not in the cluster file", code)
	}
	stranger.daemon.WaitLog("stranger", soon)
	if got := stranger.arpSysctls(); !slices.Equal(got, before) {
		t.Errorf("sysctls %v, want %v", got, before)
	}
}

// arpSysctls are the values of arpKeys, by sysctl's files.
func (n *node) arpSysctls() []string {
	n.t.Helper()
	values := make([]string, len(arpKeys))
	for i, key := range arpKeys {
		values[i] = n.SysctlValue(key)
	}
	return values
}

// readyForDR is nil when the real server has what DR needs: the VIP on lo, arp_ignore 1, arp_announce 2.
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

// awaitAgent waits until the real server has what it needs.
func (c *cluster) awaitAgent(n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, n.readyForDR)
}

// An arpProbe is a client that asks for the VIP by ARP again and again, while it listens to who answers.
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

// noReplyFrom ends the asking, five answers of a director from now, and fails if a real server has answered.
func (a *arpProbe) noReplyFrom(t *testing.T, servers ...*node) {
	t.Helper()
	const answer = "Reply " + vip + " is-at "
	director := func() int { return len(capture.Matching(a.capture.Packets(), answer+a.c.master.mac())) }
	before := director()
	lab.Eventually(t, soon, func() error {
		if got := director(); got < before+5 {
			return fmt.Errorf("%s has answered %d times, and %d times before", a.c.master.Name, got, before)
		}
		return nil
	})
	a.loop.Kill()
	packets := a.capture.Stop()
	t.Logf("%d answers", len(capture.Matching(packets, answer)))
	for _, n := range servers {
		for _, p := range capture.Matching(packets, answer+n.mac()) {
			t.Errorf("%s answers for the VIP: %s", n.Name, p.Text)
		}
	}
}
