package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestFrozenDaemon: the process of a director is stopped. Every verb of lvsctl that needs it says so in time, with the
// exit codes that scripts and monitoring rely on, and the daemon answers again when it continues.
//
// Proves docs/operations.md: "A daemon that is running but does not answer within 4 s (`--timeout`) is frozen:"
func TestFrozenDaemon(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startMaster()
	c.master.daemon.Pause()
	for _, tt := range []struct {
		args    string
		code    int
		pattern string
		limit   time.Duration
	}{
		{"status --check", 3, "^UNKNOWN: socket .*: the daemon does not answer within 4s", 5 * time.Second},
		{"--timeout 1s status", 1, "lvsctl: status: socket .*: the daemon does not answer within 1s", 2 * time.Second},
		{"--timeout 1s live", 1, "^not live: socket .*: the daemon does not answer within 1s", 2 * time.Second},
		{"--timeout 1s reload", 1, "lvsctl: reload: socket .*: the daemon does not answer within 1s", 2 * time.Second},
		{"--timeout 1s events --state-dir " + c.master.Path("state"), 1, "instance_state .*(.|\n)*the daemon does not answer within 1s", 2 * time.Second},
	} {
		begun := time.Now()
		c.ctlPrints(c.master, tt.code, tt.pattern, strings.Fields(tt.args)...)
		if took := time.Since(begun); took > tt.limit {
			t.Errorf("lvsctl %s took %s, want at most %s", tt.args, took, tt.limit)
		}
	}
	c.master.daemon.Resume()
	c.awaitHolder(c.master, soon)
	c.ctlPrints(c.master, 0, "OK: ", "status", "--check")
}
