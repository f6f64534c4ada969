package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestPoolHistoriesOfKeepalived: random histories of results of two real servers, some of which set their weights, give the same tables as
// keepalived after each change, for a pool with quorum, hysteresis and a sorry server, one whose servers stay with weight 0, and one
// with neither.
//
// Proves docs/checks.md: "with keepalived's `misc_dynamic`: 0 to 253 in place of the configured weight"
func TestPoolHistoriesOfKeepalived(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	random, steps := seeded(t), 12
	if lab.HasLongForm(t) {
		steps = 24
	}
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	h := newHistories(t, c)
	c.master = c.node("lvs-master", "10.77.0.2/24", "lvs-director")
	other := c.net.Host("keepalived", c.lan.At("10.77.0.3/24"))
	c.master.start()
	lab.StartKeepalived(other, h.conf())
	results := []int{0, 0, 1, 1, 2, 3, 4, 7} // good, failed, and the weights 0, 1, 2 and 5
	now := map[string]int{}
	var told []string
	compare := func() {
		t.Helper()
		h.awaitChecks()
		lab.Eventually(t, soon, func() error {
			if ours, theirs := saved(c.master.Host), saved(other); ours != theirs {
				return fmt.Errorf("after %s:\n%s\nand with keepalived\n%s", strings.Join(told, ", "), ours, theirs)
			}
			return nil
		})
	}
	compare() // otherwise one of them might begin its checks only after the first change, with a quorum that was never met
	for range steps {
		server := []string{"one", "two"}[random.IntN(2)]
		result := results[random.IntN(len(results))]
		if len(told) > 0 && now[server] == result {
			continue
		}
		now[server] = result
		told = append(told, fmt.Sprintf("%s=%d", server, result))
		h.set(server, result)
		compare()
	}
	t.Logf("%d changes: %s", len(told), strings.Join(told, ", "))
}

// histories are two real servers in three pools, whose checks exit with the status in a file, and note each run.
type histories struct {
	t      *testing.T
	dir    string
	script string
	pools  []historyPool
}

type historyPool struct {
	name, ours, theirs string
	port               int
}

var historyWeights = map[string]int{"one": 3, "two": 1}

func newHistories(t *testing.T, c *cluster) *histories {
	h := &histories{t: t, dir: filepath.Join(c.net.Dir(), "results"), pools: []historyPool{
		{"quorum", "quorum: 3, hysteresis: 1, sorry_server: {name: sorry, address: 10.77.0.20, weight: 1, checks: []}", "quorum 3\n hysteresis 1\n sorry_server 10.77.0.20 1000", 1000},
		{"inhibit", "inhibit_on_failure: true, sorry_server: {name: sorry, address: 10.77.0.20, weight: 1, checks: []}", "inhibit_on_failure\n sorry_server 10.77.0.20 1001", 1001},
		{"plain", "quorum: 1", "", 1002},
	}}
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.set("one", 0)
	h.set("two", 0)
	h.script = c.net.File("check.sh", "#!/bin/sh\n# $1: the server, $2: who runs it\nread -r status < "+h.dir+"/$1\necho >> "+h.dir+"/$1.$2\nexit $status\n")
	if err := os.Chmod(h.script, 0o755); err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	file.WriteString("version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\nvirtual_servers:\n")
	for _, p := range h.pools {
		fmt.Fprintf(&file, "  - {name: %s, address: 10.77.0.100, port: %d, scheduler: wrr, forward: dr, %s,\n     real_servers: [", p.name, p.port, p.ours)
		for n, server := range []string{"one", "two"} {
			fmt.Fprintf(&file, "{name: %s, address: 10.77.0.1%d, weight: %d, checks: [{type: command, command: [/bin/sh, %s, %s, ours.%s], user: root, sets_weight: true, interval: 2s, timeout: 2s, fall: 1, rise: 1}]}, ",
				server, n+1, historyWeights[server], h.script, server, p.name)
		}
		file.WriteString("]}\n")
	}
	c.file = c.net.File("cluster.yaml", file.String())
	return h
}

// conf returns the same pools for keepalived.
func (h *histories) conf() string {
	var conf strings.Builder
	conf.WriteString("global_defs {\n script_user root\n}\n")
	for _, p := range h.pools {
		fmt.Fprintf(&conf, "virtual_server 10.77.0.100 %d {\n delay_loop 1\n lb_algo wrr\n lb_kind DR\n protocol TCP\n alpha\n %s\n", p.port, p.theirs)
		for n, server := range []string{"one", "two"} {
			fmt.Fprintf(&conf, " real_server 10.77.0.1%d %d {\n  weight %d\n  MISC_CHECK {\n   misc_path \"%s %s theirs.%s\"\n   misc_dynamic\n   misc_timeout 2\n   delay_loop 2\n   retry 0\n  }\n }\n",
				n+1, p.port, historyWeights[server], h.script, server, p.name)
		}
		conf.WriteString("}\n")
	}
	return conf.String()
}

// set makes the checks of a server exit with a status. A check reads the old one or the new one.
func (h *histories) set(server string, status int) {
	path := filepath.Join(h.dir, server)
	if err := os.WriteFile(path+".new", []byte(strconv.Itoa(status)+"\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.t.Fatal(err)
	}
}

// awaitChecks waits until every check was begun twice more: then one that was begun after the call has ended.
func (h *histories) awaitChecks() {
	h.t.Helper()
	before := h.runs()
	lab.Eventually(h.t, soon, func() error {
		for name, n := range h.runs() {
			if n < before[name]+2 {
				return fmt.Errorf("%s: %d checks since the change", name, n-before[name])
			}
		}
		return nil
	})
}

// runs returns how often each check was begun.
func (h *histories) runs() map[string]int {
	all := map[string]int{}
	for _, server := range []string{"one", "two"} {
		for _, p := range h.pools {
			for _, who := range []string{"ours.", "theirs."} {
				name := server + "." + who + p.name
				info, err := os.Stat(filepath.Join(h.dir, name))
				if err == nil {
					all[name] = int(info.Size()) // a line feed each
				} else {
					all[name] = 0
				}
			}
		}
	}
	return all
}
