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

// What the cluster file says, for those who hold the daemons to it.
const (
	vip       = "10.77.0.100"
	mysqlPort = vip + ":3306"
	pulsePort = vip + ":7"

	advert       = time.Second
	skewMaster   = (256 - 150) * advert / 256 // RFC 9568 section 6.1
	skewBackup   = (256 - 100) * advert / 256
	masterDown   = 3*advert + skewBackup // of lvs-backup
	lease        = 5 * time.Second       // the default: masterDown rounded up to seconds, and one more
	checkEvery   = time.Second
	checkTimeout = 900 * time.Millisecond
	fall, rise   = 3, 2
	weight1      = 3 // of mysql1; mysql2 has 1
)

// A node is a host with a daemon of ours on it.
type node struct {
	*lab.Host
	program  string
	files    *files
	daemon   *lab.Daemon
	narrator *narrator
}

// files are what every daemon of the cluster is started with.
type files struct {
	programs programs
	cluster  string
}

// cluster is the world of the demo.
type cluster struct {
	t              *stage
	net            *lab.Network
	master, backup *node
	rs1, rs2       *node
	client         *lab.Host
	mysql1, mysql2 *mariadb.Server
	narrator       *narrator
}

// newCluster makes the LAN and the hosts, and starts nothing.
func newCluster(t *stage, story *story, p programs) *cluster {
	n := lab.New(t)
	lan := n.Bridge("lan")
	password := n.File("check.password", mariadb.CheckPassword)
	file := strings.ReplaceAll(clusterFile, "check.password", password)
	shared := &files{programs: p, cluster: n.File("cluster.yaml", file)}
	c := &cluster{t: t, net: n, narrator: newNarrator(story)}
	t.Cleanup(sync.OnceFunc(c.narrator.end))
	make := func(name, address, program string) *node {
		return &node{Host: n.Host(name, lan.At(address)), program: program, files: shared, narrator: c.narrator}
	}
	c.master = make("lvs-master", "10.77.0.2/24", "lvs-director")
	c.backup = make("lvs-backup", "10.77.0.3/24", "lvs-director")
	c.rs1 = make("mysql1", "10.77.0.11/24", "lvs-realserver")
	c.rs2 = make("mysql2", "10.77.0.12/24", "lvs-realserver")
	c.client = n.Host("client", lan.At("10.77.0.50/24"))
	return c
}

// start starts the node's daemon and waits for nothing.
func (n *node) start() {
	n.daemon = n.Start(n.program, n.files.programs.path(n.program), "run",
		"--config", n.files.cluster, "--socket", n.Path("sock"), "--state-dir", n.Path("state"))
	n.narrator.follow(n.Name, n.daemon)
}

// table is the node's IPVS table.
func (n *node) table() ipvsadm.Table { return ipvsadm.Read(n.Host) }

// servers starts MariaDB and the light answering service on both real servers.
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

// status is a director's own view, for its reasons: what `lvsctl status -o json` prints. It is asked without lvsctl, for
// the start of a program costs as much as ten logins here.
func (n *node) status() (s status.Director, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	document, err := api.NewClient(n.Path("sock")).Status(ctx)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(document, &s)
}

// reason is why the node's VRRP instance is in its state: "MASTER: …".
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

// holders are the directors that have the VIP, by ip(8).
func (c *cluster) holders() string {
	names := lab.Holders(vip, c.master.Host, c.backup.Host)
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, " and ")
}

// hasVIP looks at the kernel's own list without starting a process, which would take the CPU from what is measured.
func (n *node) hasVIP() bool {
	return strings.Contains(n.ReadFile("/proc/thread-self/net/fib_trie"), "|-- "+vip+"\n")
}

// balances says, in the same cheap way, whether the MySQL service of the node's IPVS table has the real server.
func (n *node) balances(server *node) bool {
	address := server.Address().As4()
	entry := fmt.Sprintf("-> %X:0CEA ", address[:])
	return strings.Contains(n.ReadFile("/proc/thread-self/net/ip_vs"), entry)
}

// eventually is lab.Eventually with longer steps.
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
