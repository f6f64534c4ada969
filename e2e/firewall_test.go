package e2e

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestFirewall: on machines that drop every packet that no rule accepts, the rules of `lvsctl firewall` for iptables let the
// elections, the checks, the connection synchronization and the clients pass. The adverts of a stranger with the same
// virtual_router_id and a higher priority arrive and are dropped, and a client that is not named is refused.
//
// Proves docs/firewall.md: "`lvsctl firewall FILE` prints the packet filter rules that the cluster file implies for this machine."
// Proves docs/firewall.md: "Adverts of other machines are counted and dropped"
func TestFirewall(t *testing.T) {
	lab.Need(t, lab.IPVS)
	besideFirewall(t, func(n *node) {
		n.Run("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
		n.Run("iptables", "-P", "INPUT", "DROP")
		path := n.firewall("iptables")
		n.Run("iptables-restore", "--noflush", "--test", path)
		n.Run("iptables-restore", "--noflush", path)
		n.Run("iptables-restore", "--noflush", path) // again: it replaces its chains
	}, regexp.MustCompile(`(?m)^ *(\d+) +\S+ DROP +112 `), "iptables", "-vnL", "LVS-INPUT")
}

// TestFirewallOfNFTables: the same with the rules for nft.
//
// Proves docs/firewall.md: "The rules for nft are a table of their own, `inet lvs_firewall`, whose file replaces it as a whole."
func TestFirewallOfNFTables(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	besideFirewall(t, func(n *node) {
		path := n.firewall("nft")
		n.Run("nft", "-c", "-f", path)
		n.Run("nft", "-f", path)
		n.Run("nft", "-f", path) // again: it replaces itself
	}, regexp.MustCompile(`l4proto (?:112|vrrp) counter packets (\d+) bytes \d+ drop`), "nft", "list", "table", "inet", "lvs_firewall")
}

// besideFirewall runs a cluster on machines with rules that install makes. counter finds the number of dropped adverts in
// the output of list.
func besideFirewall(t *testing.T, install func(*node), counter *regexp.Regexp, list ...string) {
	c := newCluster(t, shape{advert: "200ms", more: "connection_sync: {}"})
	one, _ := c.answering()
	other := c.net.Host("other", c.lan.At("10.77.0.51/24"))
	stranger := newNode(t, c.net.Host("stranger", c.lan.At("10.77.0.66/24")), "lvs-director",
		c.net.File("stranger.yaml", strangersFile))
	for _, n := range []*node{c.master, c.backup, c.mysql1, c.mysql2} {
		install(n)
	}
	c.startAll()
	healthy(t, c.master, c.backup, c.mysql1, c.mysql2)

	packets := capture.Start(c.master.Host, "eth0", "ip proto 112 and src 10.77.0.66")
	stranger.start().WaitLog("to=MASTER", soon)
	packets.Wait("prio 254", soon) // it arrives
	packets.Stop()
	for _, n := range []*node{c.master, c.backup} {
		lab.Eventually(t, soon, func() error {
			out := n.Run(list...)
			if found := counter.FindStringSubmatch(out); found == nil || found[1] == "0" {
				return fmt.Errorf("%s: no advert was dropped:\n%s", n.Name, out)
			}
			return nil
		})
	}
	if !c.master.holds() {
		t.Error("lvs-master gave the VIP up to a stranger")
	}
	healthy(t, c.master, c.backup)

	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("mysql1", soon)
	m.WaitAnswered("mysql2", soon)
	if out, err := other.Try("timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/"+vip+"/3306"); lab.ExitCode(err) != 124 {
		t.Errorf("a client that is not named is not dropped: %v %s", err, out)
	}
	one.Kill() // the checks see it
	c.awaitTable(c.master, "10.77.0.12:3306")
	c.awaitTable(c.backup, "10.77.0.12:3306")
	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	m.WaitAnswered("mysql2", soon)
	m.Stop()
}

// strangersFile is of a director with the virtual_router_id of the cluster and another VIP.
const strangersFile = `version: 1
directors: [{name: stranger, address: 10.77.0.66}]
vrrp_instances:
  - {name: other, interface: eth0, virtual_router_id: 51, advert_interval: 200ms, priority: 254, deaf_delay: 0s, virtual_addresses: [10.77.0.200]}
`

// firewall writes the rules of a node for one client and returns their file.
func (n *node) firewall(form string) string {
	n.t.Helper()
	rules := n.Run(program(n.t, "lvsctl"), "firewall", n.file, "--for", form, "--clients", "10.77.0.50")
	path := n.Path("rules." + form)
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}
