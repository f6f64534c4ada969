package e2e

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestFirewall: on machines that drop every packet that no rule accepts, the rules of `lvsctl firewall` let the elections, the
// checks, the connection synchronization and the clients pass, those of nft beside the policy of an own table and those of
// iptables. The adverts of a stranger with the same virtual_router_id and a higher priority arrive and are dropped, and a
// client that is not named is refused.
//
// Proves docs/firewall.md: "`lvsctl firewall FILE` prints the packet filter rules that the cluster file implies for this machine."
// Proves docs/firewall.md: "Adverts of other machines are counted and dropped"
func TestFirewall(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	c := newCluster(t, shape{advert: "200ms", more: "connection_sync: {}"})
	one, _ := c.answering()
	other := c.net.Host("other", c.lan.At("10.77.0.51/24"))
	stranger := newNode(t, c.net.Host("stranger", c.lan.At("10.77.0.66/24")), "lvs-director",
		c.net.File("stranger.yaml", strangersFile))
	for _, n := range []*node{c.backup, c.mysql1, c.mysql2} {
		n.Run("iptables-nft", "-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
		n.Run("iptables-nft", "-P", "INPUT", "DROP")
		n.firewall("iptables", "iptables-nft-restore", "--noflush")
	}
	c.master.firewall("nft", "nft", "-f")
	c.startAll()
	healthy(t, c.master, c.backup, c.mysql1, c.mysql2)

	packets := capture.Start(c.master.Host, "eth0", "ip proto 112 and src 10.77.0.66")
	stranger.start().WaitLog("to=MASTER", soon)
	packets.Wait("prio 254", soon) // it arrives
	packets.Stop()
	lab.Eventually(t, soon, func() error { return c.master.countsStrangers() })
	if !c.master.holds() {
		t.Error("lvs-master gave the VIP up to a stranger")
	}
	healthy(t, c.master, c.backup)

	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("mysql1", soon)
	m.WaitAnswered("mysql2", soon)
	if out, err := other.Try("timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/"+vip+"/3306"); err == nil {
		t.Errorf("a client that is not named gets a connection: %s", out)
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

// firewall installs the rules of a node with a command, after it has tried them.
func (n *node) firewall(form string, install ...string) {
	n.t.Helper()
	rules := n.Run(program(n.t, "lvsctl"), "firewall", n.file, "--for", form, "--clients", "10.77.0.50")
	path := n.Path("rules." + form)
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		n.t.Fatal(err)
	}
	try := append(install[:len(install):len(install)], path)
	if form == "nft" {
		try = []string{"nft", "-c", "-f", path}
	} else {
		try = append([]string{install[0], "--test"}, try[1:]...)
	}
	n.Run(try...)
	n.Run(append(install, path)...)
	n.Run(append(install, path)...) // again: it replaces itself
}

var droppedAdverts = regexp.MustCompile(`l4proto (?:112|vrrp) counter packets (\d+) bytes \d+ drop`)

// countsStrangers returns nil if the rules of nft have dropped adverts.
func (n *node) countsStrangers() error {
	out := n.Run("nft", "list", "table", "inet", "lvs_firewall")
	found := droppedAdverts.FindStringSubmatch(out)
	if found == nil {
		return errors.New("no rule drops adverts:\n" + out)
	}
	if count, err := strconv.Atoi(found[1]); err != nil || count == 0 {
		return fmt.Errorf("no advert was dropped:\n%s", out)
	}
	return nil
}
