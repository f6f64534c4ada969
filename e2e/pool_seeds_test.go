package e2e

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestSeedPools: what the seeds expect of pools that have no real server left, or clients that look like one.
//
// Proves docs/virtual-servers.md: "If neither a real server nor a sorry server is up, new clients are refused at once"
// Proves docs/virtual-servers.md: "`127.0.0.1` as the address of a sorry server is the director itself"
// Proves docs/virtual-servers.md: "With `persistence` clients that share an address, as behind NAT, or with `netmask` a network,
// have one real server"
func TestSeedPools(t *testing.T) {
	lab.Need(t, lab.IPVS)
	t.Run("001-7 no real server is left", seedNobodyLeft)
	t.Run("001-12 persistence and one network of clients", seedOneNetwork)
	t.Run("002-3 sorry server 127.0.0.1", seedSorryAtHome)
}

func seedNobodyLeft(t *testing.T) {
	c := newCluster(t, shape{advert: "100ms"})
	one, two := c.answering()
	c.startMaster()
	one.Stop()
	two.Stop()
	c.awaitTable(c.master)
	c.ctlPrints(c.master, 2, "CRITICAL: .*mysql: no real server is up", "status", "--check")
	for range 5 { // the kernel sends an address six ICMP messages at once
		if _, err := measure.OpenOne(c.client, vipPort); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("want that a client is refused: %v", err)
		}
	}
}

func seedOneNetwork(t *testing.T) {
	c := newCluster(t, shape{advert: "100ms", server: "persistence: {timeout: 50s, netmask: 24}"})
	c.answering()
	c.startMaster()
	all := map[string]int{}
	for _, h := range []*lab.Host{c.client, c.net.Host("client2", c.lan.At("10.77.0.51/24"))} {
		for server, n := range measure.OpenConnections(h, vipPort, 10).Servers() {
			all[server] += n
		}
	}
	if len(all) != 1 {
		t.Errorf("one network has the servers %v", all)
	}
	for server, n := range all {
		lab.Eventually(t, soon, func() error {
			for _, r := range c.master.status().VirtualServers[0].RealServers {
				if want := map[bool]int{true: n}[r.Name == server]; r.ActiveConnections != want {
					return fmt.Errorf("the status has %d connections to %s, want %d", r.ActiveConnections, r.Name, want)
				}
			}
			return nil
		})
	}
}

func seedSorryAtHome(t *testing.T) {
	c := newCluster(t, shape{advert: "100ms", server: "sorry_server: {address: 127.0.0.1}"})
	for _, n := range []*node{c.master, c.backup} {
		standin.Start(n.Host, ":3306", n.Name)
	}
	one, two := c.answering()
	c.startAll()
	client := measure.Start(c.client, vipPort, measure.Options{Every: 5 * time.Millisecond, Timeout: soon})
	client.WaitAnswered("mysql1", soon)
	one.Stop()
	two.Stop()
	for _, n := range []*node{c.master, c.backup} {
		c.awaitTable(n, "127.0.0.1:3306")
	}
	onlyFrom(t, client, "lvs-master", time.Now())
	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	onlyFrom(t, client, "lvs-backup", time.Now())
	c.answering()
	c.awaitTable(c.backup, rs1, rs2)
	client.WaitAnswered("mysql1", soon)
	client.WaitAnswered("mysql2", soon)
	client.Stop()
}
