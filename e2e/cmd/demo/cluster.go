package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/ipvsadm"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/status"
)

//go:embed cluster.yaml
var clusterFile string

// The values in the cluster file that the expectations are based on.
const (
	vip       = "10.77.0.100"
	mysqlPort = vip + ":3306"
	probePort = vip + ":7"

	advert       = time.Second
	skewMaster   = (256 - 150) * advert / 256 // RFC 9568 section 6.1
	skewBackup   = (256 - 100) * advert / 256
	masterDown   = 3*advert + skewBackup // master down interval of lvs-backup
	lease        = 5 * time.Second       // the default: masterDown rounded up to seconds, plus one
	checkEvery   = time.Second
	checkTimeout = 900 * time.Millisecond
	fall, rise   = 3, 2
	weight1      = 3 // of mysql1; mysql2 has 1
)

// A node is a host that runs one of the product's daemons.
type node struct {
	*lab.Host
	program string
	files   *files
	daemon  *lab.Daemon
	logs    *logPrinter
}

// files are the files with which every daemon of the cluster is started.
type files struct {
	programs programs
	cluster  string
}

// cluster is the network of the demo and its processes.
type cluster struct {
	t              *labT
	net            *lab.Network
	master, backup *node
	rs1, rs2       *node
	client         *lab.Host
	mysql1, mysql2 *mariadb.Server
	logs           *logPrinter
}

// newCluster creates the LAN and the hosts, and starts no daemons or servers.
func newCluster(t *labT, timeline *timeline, p programs) *cluster {
	n := lab.New(t)
	lan := n.Bridge("lan")
	password := n.File("check.password", mariadb.CheckPassword)
	file := strings.ReplaceAll(clusterFile, "check.password", password)
	shared := &files{programs: p, cluster: n.File("cluster.yaml", file)}
	c := &cluster{t: t, net: n, logs: newLogPrinter(timeline)}
	t.Cleanup(sync.OnceFunc(c.logs.end))
	make := func(name, address, program string) *node {
		return &node{Host: n.Host(name, lan.At(address)), program: program, files: shared, logs: c.logs}
	}
	c.master = make("lvs-master", "10.77.0.2/24", "lvs-director")
	c.backup = make("lvs-backup", "10.77.0.3/24", "lvs-director")
	c.rs1 = make("mysql1", "10.77.0.11/24", "lvs-realserver")
	c.rs2 = make("mysql2", "10.77.0.12/24", "lvs-realserver")
	c.client = n.Host("client", lan.At("10.77.0.50/24"))
	return c
}

// start starts the node's daemon. It does not wait until the daemon is ready.
func (n *node) start() {
	n.daemon = n.Start(n.program, n.files.programs.path(n.program), "run",
		"--config", n.files.cluster, "--socket", n.Path("sock"), "--state-dir", n.Path("state"))
	n.logs.follow(n.Name, n.daemon)
}

// table returns the node's IPVS table.
func (n *node) table() ipvsadm.Table { return ipvsadm.Read(n.Host) }

// servers starts MariaDB and the probe service on both real servers.
func (c *cluster) servers() {
	c.mysql1, c.mysql2 = mariadb.StartPair(c.rs1.Host, c.rs2.Host, mariadb.Options{})
	standin.Start(c.rs1.Host, ":7", "mysql1")
	standin.Start(c.rs2.Host, ":7", "mysql2")
}

// daemons starts the agents and the directors.
func (c *cluster) daemons() {
	for _, n := range []*node{c.rs1, c.rs2, c.master, c.backup} {
		n.start()
	}
}

func (c *cluster) hosts() []*lab.Host {
	return []*lab.Host{c.master.Host, c.backup.Host, c.rs1.Host, c.rs2.Host, c.client}
}

// status returns what `lvsctl status -o json` prints for a director. It uses the API, because starting lvsctl in the
// guest costs as much as ten logins.
func (n *node) status() (s status.Director, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	document, err := api.NewClient(n.Path("sock")).Status(ctx)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(document, &s)
}

// reason returns why the node's VRRP instance is in its state: "MASTER: …".
func (n *node) reason() string {
	s, err := n.status()
	if err != nil {
		return err.Error()
	}
	if len(s.Instances) == 0 {
		return "no VRRP instance"
	}
	return s.Instances[0].Reason
}

// holders returns the names of the directors that have the VIP.
func (c *cluster) holders() string {
	names := lab.Holders(vip, c.master.Host, c.backup.Host)
	if len(names) == 0 {
		return "no director"
	}
	return strings.Join(names, " and ")
}

// hasVIP reports whether the node has the VIP. It reads /proc, because starting a process would take CPU time from what
// is being measured.
func (n *node) hasVIP() bool {
	return strings.Contains(n.ReadFile("/proc/thread-self/net/fib_trie"), "|-- "+vip+"\n")
}

// balances reports whether the MySQL service in the node's IPVS table has the real server. It reads /proc, too.
func (n *node) balances(server *node) bool {
	address := server.Address().As4()
	entry := fmt.Sprintf("-> %X:0CEA ", address[:])
	return strings.Contains(n.ReadFile("/proc/thread-self/net/ip_vs"), entry)
}

// eventually waits until done returns true, and returns the time. It polls less often than lab.Eventually.
func (c *cluster) eventually(timeout time.Duration, what string, done func() bool) time.Time {
	deadline := time.Now().Add(timeout)
	for !done() {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within %s", what, timeout)
		}
		time.Sleep(lookEvery)
	}
	return time.Now()
}
