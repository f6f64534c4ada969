package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
)

// TestSlowDNS: a MariaDB that looks up the directors' names in a DNS that does not answer sends its greeting too late. The
// reason names skip_name_resolve, which mends it.
//
// Proves docs/operations.md: "that it looks up the name of the director in a DNS that does not answer, which
// `skip_name_resolve` avoids:"
func TestSlowDNS(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	d := newDatabases(t, shape{}, mariadb.Options{NameResolve: true})
	d.net.File("mysql2-hosts", "127.0.0.1 localhost\n10.77.0.11 mysql1\n10.77.0.12 mysql2\n")
	d.net.File("mysql2-resolv.conf", "nameserver 10.77.0.250\n")
	d.mysql2.Run("ip", "neigh", "replace", "10.77.0.250", "lladdr", "02:00:00:00:00:fa", "dev", "eth0", "nud", "permanent")
	for _, n := range []*node{d.mysql1, d.mysql2, d.master} {
		n.start()
	}
	d.awaitTable(d.master, rs1)
	lab.Eventually(t, soon, func() error {
		out, err := d.master.ctl("status")
		if err != nil || !strings.Contains(out, "greeting from 10.77.0.12:3306: no answer within 500ms") || !strings.Contains(out, "skip_name_resolve") {
			return fmt.Errorf("status: %v %s", err, out)
		}
		return nil
	})
	out, err := d.master.Try("mariadb", "--no-defaults", "--skip-ssl", "-h", "10.77.0.12", "--connect-timeout=1", "-u", mariadb.AppUser, "-p"+mariadb.AppPassword, "-e", "SELECT 1")
	if err == nil || !strings.Contains(out+err.Error(), "initial communication packet") {
		t.Errorf("a client of MariaDB on the director: %v %s", err, out)
	}
	d.two.Stop()
	d.two.StartSkipping()
	d.awaitTable(d.master, rs1, rs2)
	d.master.checks(0, "OK")
}
