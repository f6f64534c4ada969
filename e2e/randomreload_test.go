package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// randomSchedulers are those with which a real server always takes connections.
var randomSchedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sed", "nq", "fo", "sh", "mh"}

const randomServers = 4

// A randomPool is a virtual server.
type randomPool struct {
	name, vip, scheduler string
	persistent           bool
	weights              [randomServers]int // of mysql1 and so on; 0: it is not in the pool
}

func (p randomPool) servers() (n int) {
	for _, weight := range p.weights {
		if weight > 0 {
			n++
		}
	}
	return n
}

// A randomFile is a cluster file in which everything changes at random, except that the first virtual server keeps its real servers.
type randomFile struct {
	random *rand.Rand
	pools  []randomPool
}

func newRandomFile() *randomFile {
	f := &randomFile{random: rand.New(rand.NewPCG(1, 2))}
	for n, name := range []string{"kept", "one", "two"} {
		f.pools = append(f.pools, randomPool{name: name, vip: fmt.Sprintf("10.77.0.%d", 100+n), scheduler: "rr", weights: [randomServers]int{1, 1, 1, 1}})
	}
	return f
}

// change changes one to three things.
func (f *randomFile) change() {
	for range 1 + f.random.IntN(3) {
		n := f.random.IntN(len(f.pools))
		p, server := &f.pools[n], f.random.IntN(randomServers)
		switch f.random.IntN(4) {
		case 0:
			p.scheduler = randomSchedulers[f.random.IntN(len(randomSchedulers))]
		case 1:
			p.persistent = !p.persistent
		case 2:
			if p.weights[server] > 0 {
				p.weights[server] = 1 + f.random.IntN(5)
			}
		case 3: // in, out, or the whole virtual server
			switch {
			case n == 0:
			case f.random.IntN(8) == 0:
				p.weights = [randomServers]int{}
			case p.weights[server] > 0 && p.servers() > 1:
				p.weights[server] = 0
			default:
				p.weights[server] = 1 + f.random.IntN(5)
			}
		}
	}
}

func (f *randomFile) yaml() string {
	var b strings.Builder
	b.WriteString("version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\n" +
		"vrrp_instances: [{name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100, 10.77.0.101, 10.77.0.102]}]\nvirtual_servers:\n")
	for _, p := range f.pools {
		if p.servers() == 0 {
			continue
		}
		more := ""
		if p.persistent {
			more = ", persistence: {timeout: 50s}"
		}
		fmt.Fprintf(&b, "  - {name: %s, address: %s, port: 3306, scheduler: %s, forward: dr%s, checks: [], real_servers: [", p.name, p.vip, p.scheduler, more)
		for n, weight := range p.weights {
			if weight > 0 {
				fmt.Fprintf(&b, "{name: mysql%d, address: 10.77.0.1%d, weight: %d}, ", n+1, n+1, weight)
			}
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

// rules is what `ipvsadm -Sn` prints of the same table, in order.
func (f *randomFile) rules() string {
	var b strings.Builder
	for _, p := range f.pools {
		if p.servers() == 0 {
			continue
		}
		more := ""
		if p.persistent {
			more = " -p 50"
		}
		fmt.Fprintf(&b, "-A -t %s:3306 -s %s%s\n", p.vip, p.scheduler, more)
		for n, weight := range p.weights {
			if weight > 0 {
				fmt.Fprintf(&b, "-a -t %s:3306 -r 10.77.0.1%d:3306 -g -w %d\n", p.vip, n+1, weight)
			}
		}
	}
	return sorted(b.String())
}

// randomCluster is the cluster of TestRandomReloads, and the connections that are open in it.
type randomCluster struct {
	*cluster
	file *randomFile
	held []heldInPool
}

// heldInPool is an open connection to a real server of a virtual server.
type heldInPool struct {
	pool, server int
	*measure.Connections
}

// TestRandomReloads: reloads of files that differ at random, in schedulers, weights, persistence, real servers and virtual servers,
// lose no connection but those to real servers that go, and refuse no client. After each of them the table is that of the file, without
// anything that was left of an earlier one.
//
// Proves docs/operations.md: "Connections, elections and the state of unchanged checks are kept; a server that was down
// stays down until its checks pass."
func TestRandomReloads(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	randomReloads(t, 40)
}

// TestThousandRandomReloads: the same with 1 000 reloads, after which the director needs no more memory than before.
//
// Proves docs/operations.md: "Connections, elections and the state of unchanged checks are kept; a server that was down
// stays down until its checks pass."
func TestThousandRandomReloads(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Release(t)
	randomReloads(t, 1000)
}

// randomReloads reloads so many times, and four fifths of that after the memory was measured first.
func randomReloads(t *testing.T, count int) {
	t.Helper()
	c := &randomCluster{cluster: newCluster(t, shape{}), file: newRandomFile()}
	nodes := []*node{c.mysql1, c.mysql2, c.node("mysql3", "10.77.0.13/24", "lvs-realserver"), c.node("mysql4", "10.77.0.14/24", "lvs-realserver")}
	agents := c.net.File("agents.yaml", c.file.yaml())
	c.net.File("cluster.yaml", c.file.yaml())
	for _, n := range nodes {
		n.file = agents // all of them keep all VIPs
		standin.Start(n.Host, ":3306", n.Name)
		n.start()
	}
	c.master.start()
	c.same()
	lab.Eventually(t, soon, func() error {
		return holdsAll([]string{"10.77.0.100", "10.77.0.101", "10.77.0.102"}, c.master.Host)
	})
	measured := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond, Timeout: time.Second})
	measured.WaitAnswered("", soon)
	for range count / 5 {
		c.reload()
	}
	before := c.master.daemon.Usage()
	for range count - count/5 {
		c.reload()
	}
	c.alive()
	after := c.master.daemon.Usage()
	if after.Files > before.Files+3 || count >= 1000 && after.Resident > before.Resident+6e6 { // at first it still grows
		t.Errorf("the director has grown: %d -> %d descriptors, %.1f -> %.1f MB", before.Files, after.Files, float64(before.Resident)/1e6, float64(after.Resident)/1e6)
	}
	result := measured.Stop()
	if result.Failed() > 0 {
		t.Errorf("clients of the virtual server that keeps its real servers: %s", result)
	}
	answered := len(result.Attempts)
	lab.Eventually(t, soon, func() error { // the kernel updates the counters every two seconds
		counted := 0
		for n := range randomServers {
			counted += c.connections(fmt.Sprintf("10.77.0.1%d:3306", n+1))
		}
		if counted < answered {
			return fmt.Errorf("%d connections are counted of %d: entries were deleted and added", counted, answered)
		}
		return nil
	})
	t.Logf("%d reloads: %.1f -> %.1f MB; %d connections held at the end; %s", count, float64(before.Resident)/1e6, float64(after.Resident)/1e6, len(c.held), result)
	c.master.daemon.Stop()
	if left := strings.TrimSpace(c.master.Run("ipvsadm", "-Sn")); left != "" {
		t.Errorf("after the stop there is\n%s", left)
	}
}

// same waits until the table is that of the file.
func (c *randomCluster) same() {
	c.t.Helper()
	want := c.file.rules()
	lab.Eventually(c.t, soon, func() error {
		if got := sorted(c.master.Run("ipvsadm", "-Sn")); got != want {
			return fmt.Errorf("ipvsadm -Sn\n%s\nwant\n%s", got, want)
		}
		return nil
	})
}

// reload changes the file, reloads it, and then opens a connection to each virtual server. Now and then it looks whether those that
// must be alive are.
func (c *randomCluster) reload() {
	c.t.Helper()
	c.file.change()
	c.net.File("cluster.yaml", c.file.yaml())
	mark := c.master.daemon.Mark()
	c.master.daemon.Signal(syscall.SIGHUP)
	mark.WaitLog("msg=reloaded", soon)
	c.same()
	c.held = slices.DeleteFunc(c.held, func(h heldInPool) bool {
		gone := c.file.pools[h.pool].weights[h.server] == 0
		if gone {
			h.Close()
		}
		return gone
	})
	for n, p := range c.file.pools {
		if p.servers() == 0 {
			continue
		}
		conn, err := measure.OpenOne(c.client, p.vip+":3306")
		if err != nil {
			c.t.Fatalf("a connection to %s after the reload of\n%s\n%v", p.name, c.file.yaml(), err)
		}
		for name := range conn.Servers() {
			server := int(name[len(name)-1] - '1')
			if p.weights[server] == 0 {
				c.t.Fatalf("%s answers for %s, which does not have it:\n%s", name, p.name, c.file.yaml())
			}
			c.held = append(c.held, heldInPool{n, server, conn})
		}
	}
	if c.file.random.IntN(10) == 0 {
		c.alive()
	}
}

// mostHeld is how many connections stay open.
const mostHeld = 60

// alive lets each connection exchange data, and ends the oldest ones.
func (c *randomCluster) alive() {
	c.t.Helper()
	for _, h := range c.held {
		if alive := h.Alive(); len(alive) != 1 {
			c.t.Fatalf("a connection to mysql%d of %s is lost, and the file has it all the time:\n%s\n%v", h.server+1, c.file.pools[h.pool].name, c.file.yaml(), h.Errors())
		}
	}
	for len(c.held) > mostHeld {
		c.held[0].Close()
		c.held = c.held[1:]
	}
}
