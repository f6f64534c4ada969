package lab_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

func TestMariaDBPair(t *testing.T) {
	if _, err := exec.LookPath("mariadbd"); err != nil {
		missing(t, "MariaDB", err)
	}
	n := lab.New(t)
	lan := n.Bridge("lan")
	hostA, hostB := n.Host("mysql1", lan.At("10.77.0.11/24")), n.Host("mysql2", lan.At("10.77.0.12/24"))
	client := n.Host("client", lan.At("10.77.0.50/24"))
	start := time.Now()
	a, b := lab.StartMariaDBPair(hostA, hostB, lab.MariaDBOptions{})
	t.Logf("two servers that replicate after %s", time.Since(start))
	t.Logf("memory: %s", strings.TrimSpace(hostA.Run("grep", "VmRSS", fmt.Sprintf("/proc/%d/status", a.PID()))))

	if got := a.Query("SELECT @@hostname"); got != "mysql1" {
		t.Errorf("@@hostname %q", got)
	}
	db := client.DB(b.Address(), lab.AppUser, lab.AppPassword, "app")
	if _, err := db.Exec("INSERT INTO notes (note) VALUES ('of b')"); err != nil {
		t.Fatal(err)
	}
	b.WaitReplicated(a, 20*time.Second)
	if got := a.Query("SELECT CONCAT(id, note) FROM app.notes"); got != "2of b" {
		t.Errorf("replicated row %q", got)
	}

	measured := lab.Measure(client, a.Address(), lab.MeasureOptions{
		MySQL: &lab.MySQLLogin{User: lab.AppUser, Password: lab.AppPassword},
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
		t.Errorf("stopped with %d", code)
	}
	if got := a.Status("Aborted_connects"); got != 0 {
		t.Errorf("Aborted_connects %d", got)
	}
}

// The facts about aborted connects and blocked hosts need a server that
// resolves names and shows its host cache.
func TestMariaDBHostCache(t *testing.T) {
	if _, err := exec.LookPath("mariadbd"); err != nil {
		missing(t, "MariaDB", err)
	}
	n := lab.New(t)
	lan := n.Bridge("lan")
	server, client := n.Host("mysql1", lan.At("10.77.0.11/24")), n.Host("client", lan.At("10.77.0.50/24"))
	server.HostsFile("127.0.0.1 localhost\n10.77.0.50 client\n")
	m := lab.StartMariaDB(server, lab.MariaDBOptions{NameResolve: true, PerformanceSchema: true})
	db := client.DB(m.Address(), lab.CheckUser, lab.CheckPassword, "")
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	if got := m.Query("SELECT HOST FROM performance_schema.host_cache WHERE IP='10.77.0.50'"); got != "client" {
		t.Errorf("host cache has %q: %v", got, m.Rows("SELECT * FROM performance_schema.host_cache"))
	}
	rude := lab.Measure(client, m.Address(), lab.MeasureOptions{Patience: 2 * time.Second})
	rude.WaitAnswered("", 10*time.Second)
	rude.Stop()
	if m.Status("Aborted_connects") == 0 {
		t.Error("connections without a login are not counted")
	}
}
