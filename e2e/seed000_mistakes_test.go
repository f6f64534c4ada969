package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestSeed000Commands: row 000-5, a check command that cannot be run is shown as a mistake of the configuration, and is never
// taken for a database that answers, nor for one that is down.
//
// Proves docs/failover.md: "A command that cannot be run is a failure, and is shown as such"
func TestSeed000Commands(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	for _, row := range []struct {
		name    string
		prepare func(x tracked)
		reason  string
	}{
		{"000-5 missing", func(tracked) {}, "cannot be run: .*/check does not exist"},
		{"000-5 not executable", func(x tracked) { x.write("check", "#!/bin/sh\n", 0o644) }, "user nobody may not execute"},
		{"000-5 its interpreter is missing", func(x tracked) { x.write("check", "#!/bin/none\n", 0o755) }, "cannot be run"},
		{"000-5 hangs", func(x tracked) { x.write("check", "#!/bin/sh\nsleep 600\n", 0o755) }, "killed after 300ms"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, x := trackedCluster(t, "  - {name: check, type: command, command: [DIR/check], interval: 1s, timeout: 300ms, rise: 1, fall: 1}\n", "check")
			row.prepare(x)
			c.master.start()
			c.master.daemon.WaitLog("to=FAULT reason=.*"+row.reason, soon)
			if strings.Contains(c.master.daemon.Log(), "to=MASTER") || c.master.holds() {
				t.Errorf("it became MASTER:\n%s", c.master.daemon.Log())
			}
			if out, err := c.master.ctl("status", "--check"); lab.ExitCode(err) != 2 || !strings.Contains(fmt.Sprint(out, err), "check") {
				t.Errorf("lvsctl status --check: %v %s", err, out)
			}
			x.write("check", "#!/bin/sh\nexit 0\n", 0o755)
			c.awaitHolder(c.master, soon)
		})
	}
}

// TestSeed000Text: row 000-7, the characters that a copied web page has in place of those of a program, and a brace that is
// missing: lvsctl check names line, column and character, and a reload keeps the running configuration.
//
// Proves docs/operations.md: "The running configuration stays in force as a whole"
func TestSeed000Text(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	p := trackedDirectors(t, "{name: db, weight: -5}", localTrack, "priority: 101")
	p.answers(p.master, true)
	p.master.start()
	p.awaitHolder(p.master, soon)
	good := p.master.ReadFile(p.file)
	for _, row := range []struct{ name, old, new, says string }{
		{"000-7 no-break space", "  - {name: db,", "\u00a0 - {name: db,", "cluster.yaml:8:1: U+00A0 (no-break space) is not a space (replace it with a space)"},
		{"000-7 en dash", "weight: -5", "weight: \u20135", "cluster.yaml:6:145: U+2013 (en dash) is not '-' (replace it with -)"},
		{"000-7 missing brace", "priority: 101}", "priority: 101", "cluster.yaml:6:5: not YAML: did not find expected ',' or '}' (a { is not closed)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p.net.File("cluster.yaml", strings.Replace(good, row.old, row.new, 1))
			_, err := p.master.Try(program(t, "lvsctl"), "check", p.file)
			if lab.ExitCode(err) != 2 || !strings.Contains(fmt.Sprint(err), row.says) {
				t.Errorf("lvsctl check: %v\nwant %s", err, row.says)
			}
			if _, err := p.master.ctl("reload"); err == nil || !strings.Contains(fmt.Sprint(err), row.says) {
				t.Errorf("lvsctl reload: %v", err)
			}
			lab.Consistently(t, time.Second, func() error { return p.heldOnlyBy(p.master) })
			p.net.File("cluster.yaml", good)
		})
	}
}
