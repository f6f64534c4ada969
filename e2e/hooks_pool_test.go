package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// poolScript writes a line for each run, with what it was told, and fails if there is a file "broken" beside it.
const poolScript = `#!/bin/sh
dir=$(dirname "$0")
echo "$LVS_TYPE $LVS_NAME $LVS_EVENT $LVS_PREVIOUS_STATE $LVS_STATE $LVS_ADDRESS:$LVS_PORT" >>"$dir/log"
[ ! -e "$dir/broken" ]
`

// TestPoolHooks: the hooks of real servers and of the quorum run once for each change, with what they are about; the table
// follows the checks as without them, and a hook that fails is a warning.
//
// Proves docs/hooks.md: "the last ones that run are those of the last state"
// Proves docs/hooks.md: "After a start, `quorum_up` runs when the quorum is first met"
func TestPoolHooks(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	dir := filepath.Join(c.net.Dir(), "hooks")
	h := hooks{t, dir}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.script(), []byte(poolScript), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{c.net.Dir(): 0o755, dir: 0o777} { // not masked by umask
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	one, two := c.net.File("one", ""), c.net.File("two", "")
	c.file = c.net.File("cluster.yaml", fmt.Sprintf(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - {name: db, address: 10.77.0.100, port: 1000, scheduler: wrr, forward: dr,
     notify: [{on: [server_up, server_down, quorum_up, quorum_down], command: [%s]}],
     real_servers: [{name: one, address: 10.77.0.11, checks: [{type: file, path: %s, interval: 200ms, fall: 1, rise: 1}]},
                    {name: two, address: 10.77.0.12, checks: [{type: file, path: %s, interval: 200ms, fall: 1, rise: 1}]}]}
`, h.script(), one, two))
	c.master = c.node("lvs-master", "10.77.0.2/24", "lvs-director")
	c.master.start()
	const service = "-t 10.77.0.100:1000"
	var want []string
	ran := func(when string, lines ...string) {
		t.Helper()
		want = append(want, lines...)
		lab.Eventually(t, soon, func() error {
			b, _ := os.ReadFile(filepath.Join(dir, "log"))
			if got := strings.TrimSpace(string(b)); got != strings.Join(want, "\n") {
				return fmt.Errorf("%s: the hooks that ran:\n%s\nwant\n%s", when, got, strings.Join(want, "\n"))
			}
			return nil
		})
	}
	ran("the start", "VIRTUAL_SERVER db quorum_up UNKNOWN UP 10.77.0.100:1000")
	c.master.hasPools(service + " 11=1 12=1")
	c.turns(one, "one", "down")
	ran("one fails", "REAL_SERVER db/one server_down UP DOWN 10.77.0.11:1000")
	c.master.hasPools(service + " 12=1")
	c.turns(one, "one", "up")
	ran("it returns", "REAL_SERVER db/one server_up DOWN UP 10.77.0.11:1000")

	h.when("broken", true)
	c.turns(two, "two", "down")
	ran("the other one fails", "REAL_SERVER db/two server_down UP DOWN 10.77.0.12:1000")
	c.master.hasPools(service + " 11=1")
	c.master.awaitCheck(1, "hook of real server db/two: server_down: "+h.script()+": exit status 1")
	h.when("broken", false)
	c.turns(two, "two", "up")
	ran("it returns", "REAL_SERVER db/two server_up DOWN UP 10.77.0.12:1000")
	c.master.awaitOK()
	c.master.hasPools(service + " 11=1 12=1")
}
