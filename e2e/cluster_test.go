package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/ipvsadm"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
	"github.com/lvs-director/lvs-director/pkg/status"
)

func TestMain(m *testing.M) {
	lab.Scenarios()
	os.Exit(lab.Main(m, capture.Roles(), measure.Roles(), standin.Roles(), systemd.Roles(), probeRoles(), mailRoles()))
}

const (
	vip       = "10.77.0.100"
	vipPort   = vip + ":3306"
	vipPrefix = "10.77.0.100/32"
	soon      = 30 * time.Second // for events that normally come at once, on a machine that may be slow
	agentName = "agent"
	// resignsAtOnce is a section of the file: a graceful stop does not hand over.
	resignsAtOnce = "stop_timeout: 0s"
)

// program returns the path of a binary under test, in LVS_BIN or ../bin. `make e2e` builds them.
func program(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("LVS_BIN")
	if dir == "" {
		dir = filepath.Join("..", "bin")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: build it first (make build)", err)
	}
	return path
}

// shape describes how a cluster differs from the usual one: two directors (priorities 150 and 100, VRRPv3), two real
// servers in DR, one LAN 10.77.0.0/24. A zero field has the default in its comment. Texts are copied into the cluster
// file unchanged.
type shape struct {
	advert    string // advert_interval; "1s"
	version   int    // protocol_version; 3
	noPreempt bool
	instance  string // more keys of the instance, a YAML flow fragment such as `preempt_delay: 2s`
	scheduler string // "rr"
	forward   string // "dr"
	server    string // more keys of the virtual server, such as `persistence: {timeout: 50s}`
	check     string // "{type: tcp, interval: 400ms, timeout: 350ms, fall: 3, rise: 1}"
	weights   [2]int // 1, 1
	more      string // more sections of the file, such as `connection_sync: {}`
}

func (s shape) withDefaults() shape {
	set := func(field *string, to string) {
		if *field == "" {
			*field = to
		}
	}
	set(&s.advert, "1s")
	set(&s.scheduler, "rr")
	set(&s.forward, "dr")
	set(&s.check, "{type: tcp, interval: 400ms, timeout: 350ms, fall: 3, rise: 1}")
	if s.version == 0 {
		s.version = 3
	}
	if s.weights == [2]int{} {
		s.weights = [2]int{1, 1}
	}
	return s
}

// file returns the cluster file of the shape.
func (s shape) file() string {
	s = s.withDefaults()
	var b strings.Builder
	b.WriteString(fileHeader(s.version, s.advert, !s.noPreempt, s.instance))
	fmt.Fprintf(&b, `virtual_servers:
  - name: mysql
    address: %s
    port: 3306
    scheduler: %s
    forward: %s
`, vip, s.scheduler, s.forward)
	if s.server != "" {
		fmt.Fprintf(&b, "    %s\n", s.server)
	}
	fmt.Fprintf(&b, `    checks:
      - %s
    real_servers:
      - {name: mysql1, address: 10.77.0.11, weight: %d}
      - {name: mysql2, address: 10.77.0.12, weight: %d}
`, s.check, s.weights[0], s.weights[1])
	if s.more != "" {
		b.WriteString(s.more + "\n")
	}
	return b.String()
}

// fileHeader returns the first part of a cluster file: the two directors, and the instance of the VIP; more is a
// further line of the instance, or "".
func fileHeader(version int, advert string, preempt bool, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - name: mysql
    interface: eth0
    virtual_router_id: 51
    protocol_version: %d
    advert_interval: %s
    priority: 100
    preempt: %t
    virtual_addresses: [%s/32]
`, version, advert, preempt, vip)
	if more != "" {
		b.WriteString("    " + more + "\n")
	}
	b.WriteString("    per_node:\n      lvs-master: {priority: 150}\n")
	return b.String()
}

// node is a host that runs one of the product's daemons.
type node struct {
	*lab.Host
	t      *testing.T
	daemon *lab.Daemon
	file   string // the cluster file
	binary string
	socket string
	// hardware is the MAC address of eth0 if the node has no IPv4 address.
	hardware string
}

// table reads the node's IPVS table.
func (n *node) table() ipvsadm.Table {
	n.t.Helper()
	return ipvsadm.Read(n.Host)
}

// cluster is the usual setup of a scenario.
type cluster struct {
	t              *testing.T
	net            *lab.Network
	lan            *lab.Bridge
	master, backup *node
	mysql1, mysql2 *node // real servers; their daemon is the agent
	client         *lab.Host
	file           string
	ports          int // calls of newPorts
}

// newCluster makes the hosts and starts no daemon.
func newCluster(t *testing.T, s shape) *cluster {
	t.Helper()
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	c.file = c.net.File("cluster.yaml", s.file())
	c.net.File("check.password", mariadb.CheckPassword)
	c.master = c.node("lvs-master", "10.77.0.2/24", "lvs-director")
	c.backup = c.node("lvs-backup", "10.77.0.3/24", "lvs-director")
	c.mysql1 = c.node("mysql1", "10.77.0.11/24", "lvs-realserver")
	c.mysql2 = c.node("mysql2", "10.77.0.12/24", "lvs-realserver")
	c.client = c.net.Host("client", c.lan.At("10.77.0.50/24"))
	return c
}

func (c *cluster) node(name, address, binary string) *node {
	host := c.net.Host(name, c.lan.At(address))
	return newNode(c.t, host, binary, c.file)
}

func newNode(t *testing.T, host *lab.Host, binary, file string) *node {
	return &node{Host: host, t: t, file: file, binary: program(t, binary), socket: host.Path("sock")}
}

// start starts the node's daemon, a director with the nice value of its unit, and does not wait.
func (n *node) start() *lab.Daemon {
	n.t.Helper()
	if filepath.Base(n.binary) == "lvs-director" {
		return n.startAs("nice", "-n", "-20")
	}
	return n.startAs()
}

// startAs starts the node's daemon, through another command such as nice if one is given.
func (n *node) startAs(command ...string) *lab.Daemon {
	n.t.Helper()
	n.daemon = n.Host.Start(filepath.Base(n.binary), append(command, n.binary, "run",
		"--config", n.file, "--socket", n.socket, "--state-dir", n.Path("state"))...)
	return n.daemon
}

// ctl runs lvsctl against the node's daemon.
func (n *node) ctl(args ...string) (string, error) {
	return n.Try(append([]string{program(n.t, "lvsctl"), "--socket", n.socket}, args...)...)
}

// status returns the director's own status, for reasons and counters that no stock tool shows.
func (n *node) status() (s status.Director) {
	n.t.Helper()
	out, err := n.ctl("status", "-o", "json")
	if err != nil {
		n.t.Fatalf("%s: lvsctl status: %v\n%s", n.Name, err, out)
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		n.t.Fatalf("%s: lvsctl status: %v\n%s", n.Name, err, out)
	}
	return s
}

// holds reports whether the kernel of the node has the VIP on an interface other than lo.
func (n *node) holds() bool { return len(lab.Holders(vip, n.Host)) == 1 }

// startAll starts agents and directors and waits until lvs-master holds the VIP and the table has every real server. In
// the long form it also checks that no daemon reports a problem.
func (c *cluster) startAll() {
	c.t.Helper()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.backup.start()
	c.awaitAll()
}

// awaitAll waits for what startAll waits for.
func (c *cluster) awaitAll() {
	c.t.Helper()
	c.awaitTaken()
	if !testing.Short() {
		healthy(c.t, c.master, c.backup, c.mysql1, c.mysql2)
	}
}

// awaitTaken waits until lvs-master holds the VIP and both directors have both real servers.
func (c *cluster) awaitTaken() {
	c.t.Helper()
	c.master.daemon.WaitLog("to=MASTER", soon)
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
}

// answering starts light stand-ins for MySQL on both real servers.
func (c *cluster) answering() (one, two *lab.Daemon) {
	return standin.Start(c.mysql1.Host, ":3306", "mysql1"), standin.Start(c.mysql2.Host, ":3306", "mysql2")
}

// awaitHolder waits until the node, and not the other director, holds the VIP.
func (c *cluster) awaitHolder(n *node, timeout time.Duration) {
	c.t.Helper()
	lab.Eventually(c.t, timeout, func() error {
		if holders := lab.Holders(vip, c.master.Host, c.backup.Host); len(holders) != 1 || holders[0] != n.Name {
			return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
		}
		return nil
	})
}

// awaitTable waits until the node's virtual server has exactly these real servers, by ipvsadm(8).
func (c *cluster) awaitTable(n *node, servers ...string) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error { return tableHas(n, servers...) })
}

func tableHas(n *node, servers ...string) error {
	table := n.table()
	service := table.Service(vipPort)
	if !service.Exists() {
		return fmt.Errorf("%s has no virtual server %s:\n%s", n.Name, vipPort, table.Text)
	}
	for _, s := range servers {
		if !service.Server(s).Exists() {
			return fmt.Errorf("%s: %s is not in the table:\n%s", n.Name, s, table.Text)
		}
	}
	if len(service.Servers) != len(servers) {
		return fmt.Errorf("%s: %d real servers, want %d:\n%s", n.Name, len(service.Servers), len(servers), table.Text)
	}
	return nil
}
