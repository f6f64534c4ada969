// Package pkg_test enforces the layout of the tree: which package may import which.
package pkg_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lvs-director/lvs-director/"

// layers are the groups of docs/architecture.md. A package may import packages of groups above its own and, in an
// ordered group, those before it.
var layers = []struct {
	name     string
	ordered  bool
	packages []string
}{
	{"pure", true, []string{"pkg/kernel", "pkg/hook", "pkg/override", "pkg/config", "pkg/vrrp", "pkg/bfd", "pkg/syncmsg", "pkg/lvs", "pkg/connsync", "pkg/health", "pkg/priority", "pkg/hostrules", "pkg/plan", "pkg/event", "pkg/problem", "pkg/replication", "pkg/status", "pkg/metrics", "pkg/conftree", "pkg/keepalived", "pkg/ldirectord", "pkg/ipvsadm", "pkg/migration", "pkg/version"}},
	{"shared", true, []string{"pkg/kernel/errno", "pkg/kernel/sockets", "pkg/kernel/rtnl", "pkg/kernel/nftable"}},
	{"effects", false, []string{
		"pkg/kernel/addr", "pkg/kernel/bfdsock", "pkg/kernel/clock", "pkg/kernel/features", "pkg/kernel/firewall", "pkg/kernel/inotify", "pkg/kernel/ipvs", "pkg/kernel/localsock", "pkg/kernel/maclink", "pkg/kernel/marks", "pkg/kernel/neigh", "pkg/kernel/neighbours", "pkg/kernel/packets", "pkg/kernel/process", "pkg/kernel/quiet", "pkg/kernel/resident", "pkg/kernel/returnpath", "pkg/kernel/rolelock", "pkg/kernel/route", "pkg/kernel/routing", "pkg/kernel/sockdiag", "pkg/kernel/sourcenat", "pkg/kernel/syncsock", "pkg/kernel/sysctl", "pkg/kernel/vipfilter", "pkg/kernel/vrrpsock",
		"pkg/probe", "pkg/command", "pkg/message", "pkg/statefile", "pkg/clusterfile", "pkg/bundle",
	}},
	{"loops", true, []string{"pkg/heartbeat", "pkg/task", "pkg/journal", "pkg/election", "pkg/liveness", "pkg/notify", "pkg/takeover", "pkg/checker", "pkg/tracking", "pkg/syncpeers", "pkg/reconcile", "pkg/director", "pkg/host", "realserver"}},
	{"interfaces", true, []string{"pkg/api", "pkg/scrape", "pkg/daemon", "pkg/ctl"}},
	{"programs", true, []string{"cmd/lvs-director/program", "cmd/lvs-realserver/program", "cmd/lvs-director", "cmd/lvs-realserver", "cmd/lvsctl"}},
}

// forbidden are imports that a pure package must not have, with the reason.
var forbidden = map[string]string{
	"os":       "a pure package does not access files",
	"os/exec":  "a pure package starts no processes",
	"net":      "a pure package opens no sockets; addresses are net/netip",
	"log":      "a pure package does not log",
	"log/slog": "a pure package does not log",
	"sync":     "a pure package has no goroutines to synchronize",
	"context":  "a pure package does not block",
	"syscall":  "a pure package makes no system calls",
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsGoOneWay(t *testing.T) {
	type place struct{ layer, index int }
	places := map[string]place{}
	for l, layer := range layers {
		for i, p := range layer.packages {
			places[p] = place{l, i}
		}
	}
	for _, p := range list(t) {
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours || strings.HasPrefix(name+"/", "e2e/") || slices.Contains([]string{"pkg", "deploy", "docs", "internal/require"}, name) || strings.HasSuffix(name, "test") {
			continue
		}
		at, known := places[name]
		if !known {
			t.Errorf("%s is in no layer: add it to this test and to docs/architecture.md", name)
			continue
		}
		for _, imported := range p.Imports {
			if at.layer == 0 && forbidden[imported] != "" {
				t.Errorf("%s imports %s: %s", name, imported, forbidden[imported])
			}
			other, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			from, known := places[other]
			above := from.layer < at.layer || from.layer == at.layer && layers[at.layer].ordered && from.index < at.index
			if known && !above {
				t.Errorf("%s (%s) imports %s (%s), which is not above it", name, layers[at.layer].name, other, layers[from.layer].name)
			}
			if !known {
				t.Errorf("%s imports %s, which is in no layer", name, other)
			}
		}
	}
}

// Only a few packages access the kernel, so that changes to this access are confined to them.
func TestOnlyEffectsImportNetlinkAndRawSockets(t *testing.T) {
	touchy := []string{"github.com/vishvananda/netlink", "github.com/moby/ipvs", "github.com/mdlayher/packet", "golang.org/x/sys/unix", "golang.org/x/net/ipv4"}
	effects := slices.Concat(layers[1].packages, layers[2].packages)
	for _, p := range list(t) {
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours || strings.HasPrefix(name, "e2e") || slices.Contains(effects, name) {
			continue
		}
		for _, imported := range p.Imports {
			if slices.ContainsFunc(touchy, func(s string) bool { return imported == s || strings.HasPrefix(imported, s+"/") }) {
				t.Errorf("%s imports %s: only pkg/kernel/… and the other effects may", name, imported)
			}
		}
	}
}

// labImports are the packages of this module that each package of the lab may import. The lab does not import the
// product, so that its results are independent of it, except for the MySQL stand-in of the check's tests.
var labImports = map[string][]string{
	"e2e/lab":                {"e2e/suite", "internal/require"},
	"e2e/lab/internal/epoll": nil,
	"e2e/lab/capture":        {"e2e/lab", "e2e/lab/internal/epoll"},
	"e2e/lab/ipvsadm":        {"e2e/lab"},
	"e2e/lab/mariadb":        {"e2e/lab"},
	"e2e/lab/measure":        {"e2e/lab", "e2e/lab/internal/epoll"},
	"e2e/lab/standin":        {"e2e/lab", "e2e/lab/internal/epoll", "pkg/probe/mysqltest"},
	"e2e/lab/systemd":        {"e2e/lab"},
}

// The package that boots the guests (lab/guest) does not depend on what runs in them.
func TestLabImportsGoOneWay(t *testing.T) {
	const guest = "e2e/lab/guest"
	seen := 0
	for _, p := range list(t) {
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours || !strings.HasPrefix(name+"/", "e2e/lab/") {
			continue
		}
		inGuest := strings.HasPrefix(name+"/", guest+"/")
		allowed, known := labImports[name]
		if !known && !inGuest {
			t.Errorf("%s is missing in labImports: add what it may import", name)
			continue
		}
		seen++
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module)
			if !ours || slices.Contains(allowed, other) || inGuest && strings.HasPrefix(other+"/", guest+"/") {
				continue
			}
			t.Errorf("%s imports %s, which labImports does not allow", name, other)
		}
	}
	if seen < len(labImports) {
		t.Errorf("only %d packages of the lab found, want %d and more", seen, len(labImports))
	}
}

func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}
