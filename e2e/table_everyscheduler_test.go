package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// hasSchedulers compares what the status says of the kernel with the modules that are loaded by now.
func (c *cluster) hasSchedulers() {
	c.t.Helper()
	modules := c.master.Run("ls", "/sys/module")
	k := c.master.status().Kernel
	if k == nil || k.Release != strings.TrimSpace(c.master.Run("uname", "-r")) {
		c.t.Fatalf("the status says of the kernel: %+v", k)
	}
	found := 0
	for _, f := range k.Features {
		if name, is := strings.CutPrefix(f.Name, "scheduler_"); is {
			found++
			if loaded := strings.Contains(modules, "ip_vs_"+name+"\n"); loaded && f.Has != "present" || !loaded && f.Why == "the module ip_vs_"+name+" is loaded or built in" {
				c.t.Errorf("the status says %+v, loaded: %v", f, loaded)
			}
		}
	}
	if found != 14 {
		c.t.Errorf("the status knows %d schedulers: %+v", found, k.Features)
	}
}

func sorted(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestMaglev: when a real server dies with scheduler mh, clients of the others stay where they are, and its own return to it
// afterwards.
//
// Proves docs/virtual-servers.md: "With `mh` it keeps one with weight 0: the kernel then moves only its own clients, and
// back when it returns"
func TestMaglev(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{scheduler: "mh", server: "scheduler_flags: [fallback]"})
	one, _ := c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	before := c.answersOfClients()
	if all := strings.Join(before, " "); !strings.Contains(all, "mysql1") || !strings.Contains(all, "mysql2") {
		t.Fatalf("one server got all clients: %v", before)
	}
	one.Stop()
	c.awaitWeights(0, 1)
	for n, server := range c.answersOfClients() {
		if server != "mysql2" {
			t.Errorf("client %d is answered by %q, want mysql2", n, server)
		}
	}
	c.backup.start() // its table is made while a real server is down
	c.backup.assignsLike(c.master)
	standin.Start(c.mysql1.Host, ":3306", "mysql1")
	c.awaitWeights(1, 1)
	if after := c.answersOfClients(); !slices.Equal(before, after) {
		t.Errorf("clients were with\n%v\nand are with\n%v", before, after)
	}
}

// assignsLike waits until both directors have the same table for mh, by the kernel and by their digests.
func (n *node) assignsLike(other *node) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		for _, of := range []*node{n, other} { // an entry for each real server, mysql1 without new clients
			if out := of.Run("ipvsadm", "-Sn"); !strings.Contains(out, "-r 10.77.0.11:3306 -g -w 0\n") || !strings.Contains(out, "-r 10.77.0.12:3306 -g -w 1\n") {
				return fmt.Errorf("the table of %s is %s", of.Name, out)
			}
		}
		mine, theirs := n.status().VirtualServers[0].Assignment, other.status().VirtualServers[0].Assignment
		if mine == "" || mine != theirs {
			return fmt.Errorf("the digests are %q and %q", mine, theirs)
		}
		return nil
	})
}

// answersOfClients returns who answers clients with twenty addresses.
func (c *cluster) answersOfClients() (servers []string) {
	c.t.Helper()
	for n := range 20 {
		address := fmt.Sprintf("10.77.0.%d", 200+n)
		c.client.Run("ip", "addr", "replace", address+"/24", "dev", "eth0")
		c.client.Run("ip", "route", "replace", "10.77.0.100/32", "dev", "eth0", "src", address)
		open := measure.OpenConnections(c.client, vipPort, 1)
		for server := range open.Servers() {
			servers = append(servers, server)
		}
		open.Close()
	}
	return servers
}

// awaitWeights waits until mysql1 and mysql2 have entries with these weights.
func (c *cluster) awaitWeights(one, two int) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		s := c.master.table().Service(vipPort)
		if len(s.Servers) != 2 || s.Server("10.77.0.11:3306").Weight != one || s.Server("10.77.0.12:3306").Weight != two {
			return fmt.Errorf("the table is %+v, want weights %d and %d", s, one, two)
		}
		return nil
	})
}

// TestThresholds: a real server with upper_threshold connections gets no more. When all have so many clients are refused, and
// status says so.
//
// Proves docs/virtual-servers.md: "From `upper_threshold` connections on, active and inactive ones, a real server gets no new ones"
func TestThresholds(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	file := strings.NewReplacer("mysql1, address: 10.77.0.11", "mysql1, address: 10.77.0.11, upper_threshold: 5",
		"mysql2, address: 10.77.0.12", "mysql2, address: 10.77.0.12, upper_threshold: 8").Replace(shape{}.file())
	c.net.File("cluster.yaml", file)
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	s := spread{c, t}
	open := measure.OpenConnections(c.client, vipPort, 10)
	s.want(open, 5, 5)
	more := measure.OpenConnections(c.client, vipPort, 3)
	s.want(more, 0, 3)
	if out, err := c.client.Try("bash", "-c", "exec 3<>/dev/tcp/10.77.0.100/3306"); err == nil || !strings.Contains(out+err.Error(), "refused") {
		t.Errorf("a client beyond all thresholds: %v %s", err, out)
	}
	c.ctlPrints(c.master, 2, `CRITICAL: .*mysql.* takes no connections: all 2 real servers are full`, "status", "--check")
	c.ctlPrints(c.master, 0, `mysql1 .* up: .*takes no connections: it has 5, and its upper_threshold is 5`, "status")
}
