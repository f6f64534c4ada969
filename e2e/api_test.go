package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// The groups and users of a director's machine in these scenarios.
const (
	someGroups = "root:x:0:\nlvs-director:x:4711:\nlvs-admin:x:4712:\n"
	someUsers  = "root:x:0:0::/root:/bin/sh\nvera:x:5001:5001::/:/bin/sh\nadam:x:5002:5002::/:/bin/sh\nsam:x:5003:5003::/:/bin/sh\n"
)

// TestRoles: a user in no group cannot open the socket, one in lvs-director reads and changes nothing, one in lvs-admin alone changes
// something, and the event of each change has the name.
//
// Proves docs/security.md: "each change is an [event](operations.md#event-history) with the name of the user"
// Proves docs/operations.md: "Both groups can open the socket, and a membership counts from the next login on."
func TestRoles(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	for _, n := range []*node{c.master, c.backup} {
		n.SystemFile("/etc/group", someGroups)
		n.SystemFile("/etc/passwd", someUsers)
	}
	openDirectories(t, c.master.socket)
	c.startAll()
	as := func(uid, groups string, args ...string) (string, error) {
		argv := []string{"setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"}
		if groups != "" {
			argv = []string{"setpriv", "--reuid", uid, "--regid", uid, "--groups", groups}
		}
		return c.master.Try(append(append(argv, program(t, "lvsctl"), "--socket", c.master.socket), args...)...)
	}
	const vera, adam, sam = "5001", "5002", "5003"
	if out, err := as(sam, "", "status"); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a user in no group: %v, %s", err, out)
	}
	if out, err := as(vera, "4711", "status"); err != nil || !strings.Contains(out, "MASTER") {
		t.Errorf("a reader: status: %v, %s", err, out)
	}
	for _, change := range [][]string{
		{"drain", "mysql/mysql2"},
		{"disable", "mysql/mysql2"},
		{"weight", "mysql/mysql2", "7"},
		{"enable", "mysql/mysql2"},
		{"drain", "--director"},
		{"reload"},
		{"zero"},
		{"failover", "mysql"},
		{"failover", "mysql", "--release"},
	} {
		if out, err := as(vera, "4711", change...); err == nil || !strings.Contains(err.Error(), "vera may read and change nothing: run it as root, or as a member of the group lvs-admin") {
			t.Errorf("a reader: %s: %v, %s", change, err, out)
		}
	}
	if err := c.master.hasWeights(1, 1); err != nil || !c.master.holds() {
		t.Errorf("a reader has changed something: %v, holds the VIP: %t", err, c.master.holds())
	}
	for _, change := range [][]string{{"weight", "mysql/mysql2", "7"}, {"reload"}, {"zero", "mysql"}} {
		if out, err := as(adam, "4712", change...); err != nil {
			t.Errorf("an administrator: %s: %v, %s", change, err, out)
		}
	}
	lab.Eventually(t, soon, func() error { return c.master.hasWeights(1, 7) })
	lab.Eventually(t, soon, func() error { // once the other director can take over
		if out, err := as(adam, "4712", "failover", "mysql"); err != nil && !c.backup.holds() {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	c.awaitHolder(c.backup, soon)
	kinds := map[string]bool{}
	for _, e := range c.master.events() {
		if strings.Contains(e.Reason, "vera") {
			t.Errorf("an event of a refused change: %+v", e)
		}
		if strings.Contains(e.Reason, "adam") {
			kinds[string(e.Kind)] = true
		}
	}
	for _, kind := range []string{"override_changed", "reload_applied", "counters_zeroed", "instance_handover"} {
		if !kinds[kind] {
			t.Errorf("no event of kind %s has the name of the administrator: %v", kind, kinds)
		}
	}
	if got := strings.TrimSpace(c.master.Run("stat", "-c", "%a %G", c.master.socket)); got != "660 lvs-director" {
		t.Errorf("the socket: %s", got)
	}
}

// openDirectories lets other users reach a file below the directory of temporary files.
func openDirectories(t *testing.T, path string) {
	t.Helper()
	for dir := filepath.Dir(path); strings.HasPrefix(dir, os.TempDir()); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || os.Chmod(dir, info.Mode().Perm()|0o011) != nil {
			t.Fatalf("%s: %v", dir, err)
		}
	}
}

// TestAPIFlood: clients by the thousand that follow events and do not read, garbage and bodies without an end cost neither an
// election nor memory; others are answered afterwards, and an interrupted client of server-sent events gets what it has missed.
//
// Proves docs/operations.md: "A thousand clients that follow events and do not read, garbage and bodies without an end delay no election."
func TestAPIFlood(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	watch := c.backup.watchVIP()
	sse := subscribeTo(t, c.master, "")
	last := sse.await("")
	sse.conn.Close()
	before := rss(t, c.master)
	flood(t, c.master)
	if out, err := c.master.ctl("weight", "mysql/mysql2", "7"); err != nil {
		t.Errorf("after the flood: %v, %s", err, out)
	}
	lab.Eventually(t, soon, func() error { return c.master.hasWeights(1, 7) })
	again := subscribeTo(t, c.master, last)
	if first := again.await(""); first == last {
		t.Errorf("the event %s, which the client has had, is sent again", last)
	}
	again.conn.Close()
	again = subscribeTo(t, c.master, last)
	again.await("override_changed")
	again.conn.Close()
	after := rss(t, c.master)
	lateness, _ := json.Marshal(c.master.status().Instances[0].AdvertLateness)
	t.Logf("VmRSS %d kB before, %d kB after; lateness of adverts: %s", before, after, lateness)
	if after > before+16<<10 {
		t.Errorf("VmRSS has grown from %d to %d kB", before, after)
	}
	if periods := watch.periods(); len(periods) > 0 || !c.master.holds() {
		t.Errorf("lvs-backup has had the VIP: %v; lvs-master holds it: %t", periods, c.master.holds())
	}
}

// flood opens a thousand connections to a socket: most follow events and do not read, the others send garbage or a body without an
// end. It leaves them open until all are there.
func flood(t *testing.T, n *node) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	for number := range 1000 {
		conn, err := net.Dial("unix", n.socket)
		if err != nil {
			continue // the queue of the socket is full
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		switch { // errors: the daemon has closed the connection
		case number%10 == 8:
			garbage := make([]byte, 4096)
			_, _ = random.Read(garbage)
			_, _ = conn.Write(garbage)
		case number%10 == 9:
			_, _ = io.WriteString(conn, "POST /v1/override HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n\""+strings.Repeat("x", 100<<10))
		default:
			_, _ = io.WriteString(conn, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
		}
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.daemon.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d descriptors are open during the flood", len(open)); len(open) > 400 { // 256 connections, and what it has otherwise
		t.Errorf("%d descriptors are open during the flood", len(open))
	}
}

// follower reads server-sent events.
type follower struct {
	t      *testing.T
	conn   net.Conn
	reader *bufio.Scanner
}

func subscribeTo(t *testing.T, n *node, lastID string) follower {
	t.Helper()
	var f follower
	lab.Eventually(t, soon, func() error { // places of clients that have gone may still be taken
		conn, err := net.Dial("unix", n.socket)
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(time.Now().Add(soon))
		fmt.Fprintf(conn, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: %s\r\n\r\n", lastID)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", answer.StatusCode)
		}
		if err != nil {
			_ = conn.Close()
			return err
		}
		f = follower{t, conn, bufio.NewScanner(answer.Body)}
		return nil
	})
	return f
}

// await returns the id of the next event of a kind; "" is any.
func (f follower) await(kind string) (id string) {
	f.t.Helper()
	for f.reader.Scan() {
		field, value, _ := strings.Cut(f.reader.Text(), ": ")
		if field == "id" {
			id = value
		}
		if field == "data" && id != "" && strings.Contains(value, `"kind":"`+kind) {
			return id
		}
	}
	f.t.Fatalf("no event of kind %q: %v", kind, f.reader.Err())
	return ""
}

// rss returns the resident memory of a node's daemon in kB.
func rss(t *testing.T, n *node) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.daemon.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			size, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return size
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
