package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestImport: the pair of seed 001 runs with keepalived and its two files, and then with the cluster file that lvsctl import
// makes of them: the tables of both directors, the addresses of both, the adverts and who is MASTER after a stop are the
// same. A stop itself differs: ours hands over first.
//
// Proves docs/migration.md: "The files of all directors become one cluster file"
func TestImport(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	c := newCluster(t, shape{})
	c.answering()
	confs := map[*node]string{}
	for n, file := range map[*node]string{c.master: "001-a.conf", c.backup: "001-b.conf"} {
		text, err := os.ReadFile("../pkg/migration/testdata/seeds/" + file)
		if err != nil {
			t.Fatal(err)
		}
		confs[n] = string(text)
	}
	before := c.lived(func(n *node) { n.daemon = lab.StartKeepalived(n.Host, confs[n]) })

	imported := filepath.Join(filepath.Dir(c.file), "imported.yaml")
	args := []string{program(t, "lvsctl"), "import", "-o", imported, "--address", "lvs-master=10.77.0.2", "--address", "lvs-backup=10.77.0.3"}
	for _, n := range []*node{c.master, c.backup} {
		args = append(args, "--node", n.Name+"="+n.writeFile("keepalived.conf", confs[n]))
	}
	if out, err := c.client.Try(args...); err == nil || !strings.Contains(err.Error(), "\n10 lines are refused") { // those about mails
		t.Fatalf("lvsctl import: %v\n%s", err, out)
	}
	c.master.file = imported
	c.backup.file = imported
	if out, err := c.master.ctl("check", imported); err != nil {
		t.Fatalf("lvsctl check: %v\n%s", err, out)
	}
	after := c.lived(func(n *node) { n.start() })
	if before != after {
		t.Errorf("with the imported file:\n%s\nand with keepalived:\n%s", after, before)
	}
}

// lived returns what the world sees of a pair of directors from its start to its end.
func (c *cluster) lived(start func(*node)) string {
	c.t.Helper()
	segment := capture.Start(c.client, "eth0", "vrrp", "-v")
	start(c.master)
	c.awaitHolder(c.master, soon)
	start(c.backup)
	var b strings.Builder
	look := func(n *node) {
		var table string
		lab.Eventually(c.t, soon, func() error {
			if table = saved(n.Host); strings.Count(table, "\n") != 2 {
				return errors.New(n.Name + " has not both servers:\n" + table)
			}
			return nil
		})
		fmt.Fprintf(&b, "%s\n%s\n%s\n", n.Name, table, n.Run("ip", "-brief", "-4", "addr", "show", "dev", "eth0"))
	}
	advert := func(pattern string) {
		lab.Eventually(c.t, soon, func() error {
			if len(capture.Matching(segment.Packets(), pattern)) == 0 {
				return errors.New("no advert matches " + pattern)
			}
			return nil
		})
	}
	look(c.master)
	look(c.backup)
	advert(`10\.77\.0\.2 > 224\.0\.0\.18: .*prio 100,`)
	c.master.daemon.Stop()
	c.awaitHolder(c.backup, soon)
	look(c.backup)
	advert(`10\.77\.0\.3 > 224\.0\.0\.18: .*prio 99,`)
	c.backup.daemon.Stop()
	adverts := map[string]bool{}
	for _, p := range segment.Stop() {
		if strings.Contains(p.Text, "prio 0,") || strings.Contains(p.Text, "prio 1,") { // a planned handover of ours begins with priority 1
			continue
		}
		adverts[regexp.MustCompile(`\bid \d+, |flags \[\w+\], `).ReplaceAllString(p.Text, "")] = true
	}
	b.WriteString(strings.Join(slices.Sorted(maps.Keys(adverts)), "\n"))
	return b.String()
}
