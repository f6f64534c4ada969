package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestAgentSeesOutages: two outages that the directors cannot see, because their checks use the server's own address. A
// server listens on its own address only and refuses the clients of the VIP; the NIC of a real server has the VIP and
// answers ARP for it.
//
// Proves docs/agent.md: "`up` means that the settings are in place and that a socket accepts the packets of clients."
// Proves docs/agent.md: "An address that makes a NIC answer ARP for a VIP takes clients away from the director, so the
// virtual server is `down`:"
// Proves docs/agent.md: "`lvs-realserver status` prints one line, and exits as the verb `status` of an init script does:"
func TestAgentSeesOutages(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	one, _ := c.answering()
	c.startAll()
	agent := func(n *node, code int, pattern string) func() error {
		return func() error {
			out, err := n.ctl("status", "--check")
			if lab.ExitCode(err) != code || !matches(pattern, out) {
				return fmt.Errorf("lvsctl status --check on %s: exit code %d, want %d, and %q in %q", n.Name, lab.ExitCode(err), code, pattern, out)
			}
			return nil
		}
	}
	healthy(t, c.mysql1)
	c.initScript(c.mysql1, 0, "lvs-realserver is running: ")
	t.Run("bind_address", func(t *testing.T) {
		one.Kill()
		own := standin.Start(c.mysql1.Host, "10.77.0.11:3306", "mysql1")
		healthy(t, c.master) // its check uses the server's own address
		if out, err := c.mysql1.Try("bash", "-c", "exec 3<>/dev/tcp/"+vip+"/3306"); err == nil {
			t.Errorf("a connection to the VIP on mysql1 is accepted: %s", out)
		}
		lab.Eventually(t, soon, agent(c.mysql1, 2, `^CRITICAL: mysql: nothing listens on 10\.77\.0\.100:3306, only on 10\.77\.0\.11:3306: .*bind_address`))
		c.initScript(c.mysql1, 3, "lvs-realserver is running, but clients are not served: mysql: nothing listens on 10.77.0.100:3306")
		own.Kill()
		standin.Start(c.mysql1.Host, ":3306", "mysql1")
		lab.Eventually(t, soon, agent(c.mysql1, 0, "^OK: "))
	})
	t.Run("VIP on a NIC", func(t *testing.T) {
		packets := capture.Start(c.client, "eth0", "arp and arp host "+vip)
		c.mysql2.Run("ip", "addr", "add", vip+"/24", "dev", "eth0")
		c.client.Try("ip", "neigh", "del", vip, "dev", "eth0")
		c.client.Try("ping", "-n", "-c1", "-W1", vip)
		packets.Wait("Reply "+vip+" is-at "+c.mysql2.mac(), soon)
		packets.Stop()
		lab.Eventually(t, soon, agent(c.mysql2, 2, `^CRITICAL: eth0 has the VIP 10\.77\.0\.100/24 and answers ARP for it beside the director`))
		c.ctlPrints(c.mysql2, 0, `mysql +10\.77\.0\.100:3306 +dr +down `, "status")
		c.mysql2.Run("ip", "addr", "del", vip+"/24", "dev", "eth0")
		lab.Eventually(t, soon, agent(c.mysql2, 0, "^OK: "))
	})
	c.mysql1.daemon.Kill()
	c.initScript(c.mysql1, 3, "lvs-realserver is stopped: ")
}

// initScript checks the exit code and the line of `lvs-realserver status`.
func (c *cluster) initScript(n *node, code int, line string) {
	c.t.Helper()
	out, err := n.Try(n.binary, "status", "--socket", n.socket)
	if lab.ExitCode(err) != code || !strings.HasPrefix(out, line) {
		c.t.Errorf("%s: lvs-realserver status: exit code %d, %q; want %d, %q", n.Name, lab.ExitCode(err), out, code, line)
	}
}

// matches reports whether a pattern matches a text.
func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }
