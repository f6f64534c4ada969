package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// example is a world in which a file of docs/examples runs.
type example struct {
	*cluster
	inside   *lab.Bridge
	one, two *node // the directors in the order of the file
}

// TestExamples: each file of docs/examples, with the paths of the lab for its secrets and programs, runs as it is on the
// machines that it names. The addresses are on the director that the file prefers, and clients are answered.
//
// Proves docs/index.md: "cluster files for [two MySQL servers without balancing](examples/mysql-pair.yaml)"
func TestExamples(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	files, err := filepath.Glob("../docs/examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	worlds := map[string]func(t *testing.T, e *example){
		"mysql-pair": mysqlPairExample, "mysql-lvs-dr": mysqlLVSExample, "two-networks": twoNetworksExample,
		"weights": weightsExample, "two-databases": twoDatabasesExample, "read-write": readWriteExample,
	}
	if len(files) != len(worlds) {
		t.Errorf("%d files, %d of them are tried: %v", len(files), len(worlds), files)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil || worlds[name] == nil {
				t.Fatalf("no world for %s: %v", file, err)
			}
			e := &example{cluster: &cluster{t: t, net: lab.New(t)}}
			e.lan = e.net.Bridge("lan")
			e.file = e.net.File("cluster.yaml", e.replaced(string(text)))
			worlds[name](t, e)
		})
	}
}

// replaced puts files of the lab in the place of those of an installation. Nothing sends mail there.
func (e *example) replaced(text string) string {
	script := newHooks(e.cluster).script()
	text = strings.NewReplacer(
		"/etc/lvs-director/check.password", e.net.File("check.password", mariadb.CheckPassword),
		"/etc/lvs-director/vrrp.password", e.net.File("vrrp.password", "1111"),
		"/usr/local/sbin/role-changed", script, "/usr/local/sbin/mysql-failover", script,
	).Replace(text)
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "mail_to") && !strings.HasPrefix(line, "mail:") {
			kept = append(kept, line)
		}
	}
	return strings.Replace(strings.Join(kept, ""), "\nnotify:\n", "\n", 1) // of the whole file; there was mail only
}

// directors makes the two directors.
func (e *example) directors(one, two string) {
	host := func(name, address string) *node {
		cards := []lab.Attachment{e.lan.At("10.77.0." + address + "/24")}
		if e.inside != nil {
			cards = append(cards, e.inside.At("10.78.0."+address+"/24"))
		}
		return newNode(e.t, e.net.Host(name, cards...), "lvs-director", e.file)
	}
	name, address, _ := strings.Cut(one, "@")
	e.one = host(name, address)
	name, address, _ = strings.Cut(two, "@")
	e.two = host(name, address)
}

// elects starts both directors, and waits until the first one has the addresses alone.
func (e *example) elects(addresses ...string) {
	e.t.Helper()
	e.one.start()
	e.one.daemon.WaitLog("to=BACKUP", soon)
	lab.Eventually(e.t, soon, func() error { return holdsAll(addresses, e.one.Host) })
	e.two.start()
	e.two.daemon.WaitLog("to=BACKUP", soon)
	lab.Eventually(e.t, soon, func() error { return holdsAll(addresses, e.one.Host, e.two.Host) })
	healthy(e.t, e.one, e.two)
}

// answeredBy waits until a new connection to an address is answered by this MySQL server.
func (e *example) answeredBy(from *lab.Host, address, server string) {
	e.t.Helper()
	lab.Eventually(e.t, soon, func() error {
		db := mariadb.Open(from, address, mariadb.AppUser, mariadb.AppPassword, "app")
		defer db.Close()
		ctx, cancel := withDeadline()
		defer cancel()
		var got string
		err := db.QueryRowContext(ctx, "SELECT @@hostname").Scan(&got)
		if err == nil && server != "" && got != server {
			err = fmt.Errorf("%s answers on %s, want %s", got, address, server)
		}
		return err
	})
}

func mysqlPairExample(_ *testing.T, e *example) {
	e.directors("mysql1@11", "mysql2@12")
	one, _ := mariadb.StartPair(e.one.Host, e.two.Host, mariadb.Options{})
	one.Exec("GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO '" + mariadb.CheckUser + "'@'%'")
	client := e.net.Host("client", e.lan.At("10.77.0.50/24"))
	e.elects(vip)
	e.answeredBy(client, vipPort, "mysql1")
	one.Kill()
	lab.Eventually(e.t, soon, func() error { return holdsAll([]string{vip}, e.two.Host, e.one.Host) })
	e.answeredBy(client, vipPort, "mysql2")
}

func mysqlLVSExample(_ *testing.T, e *example) {
	e.directors("lvs-master@2", "lvs-backup@3")
	e.mysql1, e.mysql2 = e.node("mysql1", "10.77.0.11/24", "lvs-realserver"), e.node("mysql2", "10.77.0.12/24", "lvs-realserver")
	mariadb.StartPair(e.mysql1.Host, e.mysql2.Host, mariadb.Options{})
	e.mysql1.start()
	e.mysql2.start()
	e.elects(vip)
	for _, n := range []*node{e.one, e.two} {
		e.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
	}
	client := e.net.Host("client", e.lan.At("10.77.0.50/24"))
	e.answeredBy(client, vipPort, "mysql1")
	e.answeredBy(client, vipPort, "mysql2")
	healthy(e.t, e.mysql1, e.mysql2)
}

// readWriteExample: writes go to one server, reads to the others, and to the one that is left when it is alone.
func readWriteExample(_ *testing.T, e *example) {
	e.directors("lvs-master@2", "lvs-backup@3")
	const reads = "10.77.0.101:3306"
	e.mysql1, e.mysql2 = e.node("mysql1", "10.77.0.11/24", "lvs-realserver"), e.node("mysql2", "10.77.0.12/24", "lvs-realserver")
	mysql3 := e.node("mysql3", "10.77.0.13/24", "lvs-realserver")
	one, two := mariadb.StartPair(e.mysql1.Host, e.mysql2.Host, mariadb.Options{})
	three := mariadb.Start(mysql3.Host, mariadb.Options{ServerID: 3, Offset: 1})
	for _, n := range []*node{e.mysql1, e.mysql2, mysql3} {
		n.start()
	}
	e.elects(vip, "10.77.0.101")
	client := e.net.Host("client", e.lan.At("10.77.0.50/24"))
	e.answeredBy(client, vipPort, "mysql1")
	e.answeredBy(client, reads, "mysql2")
	e.answeredBy(client, reads, "mysql3")
	for _, d := range []*node{e.one, e.two} {
		d.hasPools("-t 10.77.0.100:3306 11=1", "-t 10.77.0.101:3306 12=1 13=1")
	}
	three.Kill()
	two.Kill()
	e.answeredBy(client, reads, "mysql1")
	e.answeredBy(client, vipPort, "mysql1")
	e.one.hasPools("-t 10.77.0.100:3306 11=1", "-t 10.77.0.101:3306 11=1")
	two.Start()
	e.answeredBy(client, reads, "mysql2")
	one.Kill()
	e.answeredBy(client, vipPort, "mysql2")
	for _, d := range []*node{e.one, e.two} {
		d.hasPools("-t 10.77.0.100:3306 12=1", "-t 10.77.0.101:3306 12=1")
	}
}

// hasPools waits until the table of a node has these services, with the weights of their real servers.
func (n *node) hasPools(want ...string) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if got := pools(n.Host); got != strings.Join(want, "\n") {
			return fmt.Errorf("%s:\n%s\nwant\n%s", n.Name, got, strings.Join(want, "\n"))
		}
		return nil
	})
}

func twoNetworksExample(t *testing.T, e *example) {
	e.inside = e.net.Bridge("inside")
	e.directors("lvs-master@2", "lvs-backup@3")
	for _, n := range []string{"11", "12"} {
		web := e.net.Host("web"+n, e.lan.At("10.77.0."+n+"/24"))
		standin.Start(web, "10.77.0."+n+":443", "web"+n)
	}
	all := []string{vip, "10.78.0.100"}
	e.elects(all...)
	if out := e.one.Run("ip", "-4", "addr", "show", "dev", "eth0"); !strings.Contains(out, "10.77.0.100/32 scope global dynamic eth0:1") {
		t.Errorf("the label is not as in the file:\n%s", out)
	}
	e.one.Link("eth1").CarrierDown()
	lab.Eventually(t, soon, func() error { return holdsAll(all, e.two.Host, e.one.Host) })
	hooks{t, filepath.Join(e.net.Dir(), "hooks")}.await(e.two, "end master vip 1")
}

func weightsExample(_ *testing.T, e *example) {
	e.directors("mysql1@11", "mysql2@12")
	one, two := mariadb.StartPair(e.one.Host, e.two.Host, mariadb.Options{})
	client := e.net.Host("client", e.lan.At("10.77.0.50/24"))
	e.elects(vip)
	e.answeredBy(client, vipPort, "mysql1")
	one.Kill()
	e.answeredBy(client, vipPort, "mysql2")
	two.Kill() // on both: the address returns to the higher priority, and is not lost
	lab.Eventually(e.t, soon, func() error { return holdsAll([]string{vip}, e.one.Host, e.two.Host) })
}

func twoDatabasesExample(_ *testing.T, e *example) {
	e.net.Host("gateway", e.lan.At("10.77.0.1/24"))
	e.directors("db1@11", "db2@12")
	servers := map[string]*mariadb.Server{}
	for _, n := range []*node{e.one, e.two} {
		for id, port := range []int{3306, 3307} {
			m := mariadb.Start(n.Host, mariadb.Options{Port: port, ServerID: id + 1})
			m.Exec("GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO '" + mariadb.CheckUser + "'@'%'")
			servers[fmt.Sprint(n.Name, port)] = m
		}
	}
	client := e.net.Host("client", e.lan.At("10.77.0.50/24"))
	e.elects(vip, "10.77.0.101")
	servers["db13307"].Kill()
	lab.Eventually(e.t, soon, func() error { return holdsAll([]string{"10.77.0.101"}, e.two.Host, e.one.Host) })
	e.answeredBy(client, vipPort, "db1")
	e.answeredBy(client, "10.77.0.101:3307", "db2")
}
