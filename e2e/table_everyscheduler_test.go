package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// everyScheduler are the schedulers that Debian's kernels have, and the flags that they can have.
var everyScheduler = map[string][]string{
	"rr": nil, "wrr": nil, "lc": nil, "wlc": nil, "lblc": nil, "lblcr": nil, "dh": nil, "sed": nil, "nq": nil, "fo": nil, "ovf": nil,
	"sh": {"fallback", "port"}, "mh": {"fallback", "port"},
}

// everySchedulerFile has a virtual server for each scheduler and forwarding method, and the commands that make the same table.
func everySchedulerFile() (file string, commands []string) {
	var b strings.Builder
	b.WriteString("version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\n" +
		"vrrp_instances: [{name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}]\nvirtual_servers:\n")
	port := 4000
	for _, scheduler := range slices.Sorted(maps.Keys(everyScheduler)) {
		for method, letter := range map[string]string{"dr": "-g", "nat": "-m", "tun": "-i"} {
			port++
			flags, of := "", ""
			if names := everyScheduler[scheduler]; names != nil {
				flags = ", scheduler_flags: [" + strings.Join(names, ", ") + "]"
				of = fmt.Sprintf(" -b %[1]s-%[2]s,%[1]s-%[3]s", scheduler, names[0], names[1])
			}
			fmt.Fprintf(&b, "  - {name: %[1]s-%[2]s, address: 10.77.0.100, port: %[3]d, scheduler: %[1]s%[4]s, forward: %[2]s, checks: [{type: tcp, port: 3306}], real_servers: ["+
				"{name: mysql1, address: 10.77.0.11, weight: 3, upper_threshold: 400, lower_threshold: 300}, {name: mysql2, address: 10.77.0.12}]}\n", scheduler, method, port, flags)
			vip := fmt.Sprintf("-t 10.77.0.100:%d", port)
			commands = append(
				commands, "-A "+vip+" -s "+scheduler+of,
				fmt.Sprintf("-a %s -r 10.77.0.11:%d %s -w 3 -x 400 -y 300", vip, port, letter),
				fmt.Sprintf("-a %s -r 10.77.0.12:%d %s -w 1", vip, port, letter),
			)
		}
	}
	return b.String(), commands
}

// TestEveryScheduler: the table of each scheduler with each forwarding method, flags and thresholds, is what ipvsadm makes of
// the same settings. A director that was killed finds it as it is, and changes nothing.
//
// Proves docs/virtual-servers.md: "What the keys of [`virtual_servers`](cluster-file.md#virtual_servers) make of the kernel's IPVS table"
func TestEveryScheduler(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	file, commands := everySchedulerFile()
	c.net.File("cluster.yaml", file)
	c.answering()
	other := c.net.Host("other", c.lan.At("10.77.0.60/24"))
	for _, command := range commands {
		other.Run(append([]string{"ipvsadm"}, strings.Fields(command)...)...)
	}
	same := func() error {
		for _, list := range [][]string{{"ipvsadm", "-Sn"}, {"ipvsadm", "-Ln", "--thresholds"}} {
			want, got := sorted(other.Run(list...)), sorted(c.master.Run(list...))
			if want != got {
				return fmt.Errorf("%v\n%s\nwant\n%s", list, got, want)
			}
		}
		return nil
	}
	c.startTwice(same)
	c.hasSchedulers()
}

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
