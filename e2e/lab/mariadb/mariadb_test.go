package mariadb_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

func TestMariaDBPair(t *testing.T) {
	lab.Need(t, lab.MariaDB)
	n := lab.New(t)
	lan := n.Bridge("lan")
	hostA, hostB := n.Host("mysql1", lan.At("10.77.0.11/24")), n.Host("mysql2", lan.At("10.77.0.12/24"))
	client := n.Host("client", lan.At("10.77.0.50/24"))
	start := time.Now()
	a, b := mariadb.StartPair(hostA, hostB, mariadb.Options{})
	t.Logf("two servers replicate after %s", time.Since(start))
	t.Logf("memory: %s", strings.TrimSpace(hostA.Run("grep", "VmRSS", fmt.Sprintf("/proc/%d/status", a.PID()))))

	if got := a.Query("SELECT @@hostname"); got != "mysql1" {
		t.Errorf("@@hostname %q", got)
	}
	db := mariadb.Open(client, b.Address(), mariadb.AppUser, mariadb.AppPassword, "app")
	if _, err := db.Exec("INSERT INTO notes (note) VALUES ('from b')"); err != nil {
		t.Fatal(err)
	}
	b.WaitReplicated(a, 20*time.Second)
	if got := a.Query("SELECT CONCAT(id, note) FROM app.notes"); got != "2from b" {
		t.Errorf("replicated row %q", got)
	}

	measured := measure.Start(client, a.Address(), measure.Options{
		MySQL: &measure.Login{User: mariadb.AppUser, Password: mariadb.AppPassword},
	})
	measured.WaitAnswered("mysql1", 20*time.Second)
	a.Kill()
	start = time.Now()
	a.Start()
	t.Logf("started again after %s", time.Since(start))
	measured.WaitAnswered("mysql1", 20*time.Second)
	result := measured.Stop()
	t.Log(result)
	if result.Failures()["refused"] == 0 {
		t.Errorf("failures %v", result.Failures())
	}
	lab.Eventually(t, 30*time.Second, a.Replicating)
	if code := b.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := a.Status("Aborted_connects"); got != 0 {
		t.Errorf("Aborted_connects %d", got)
	}
}

// TestMariaDBHostCache: a server with NameResolve and PerformanceSchema resolves names and exposes its host cache,
// which scenarios about aborted connects and blocked hosts need.
func TestMariaDBHostCache(t *testing.T) {
	lab.Need(t, lab.MariaDB)
	n := lab.New(t)
	lan := n.Bridge("lan")
	server, client := n.Host("mysql1", lan.At("10.77.0.11/24")), n.Host("client", lan.At("10.77.0.50/24"))
	server.HostsFile("127.0.0.1 localhost\n10.77.0.50 client\n")
	m := mariadb.Start(server, mariadb.Options{NameResolve: true, PerformanceSchema: true})
	db := mariadb.Open(client, m.Address(), mariadb.CheckUser, mariadb.CheckPassword, "")
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	if got := m.Query("SELECT HOST FROM performance_schema.host_cache WHERE IP='10.77.0.50'"); got != "client" {
		t.Errorf("host cache has %q: %v", got, m.Rows("SELECT * FROM performance_schema.host_cache"))
	}
	noLogin := measure.Start(client, m.Address(), measure.Options{Timeout: 2 * time.Second})
	noLogin.WaitAnswered("", 10*time.Second)
	noLogin.Stop()
	if m.Status("Aborted_connects") == 0 {
		t.Error("connections without a login are not counted")
	}
}
