package director

import (
	"context"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	proc "github.com/lvs-director/lvs-director/pkg/kernel/process"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/tracking"
)

// fakeTracks are the files and processes of a host.
type fakeTracks struct {
	files   map[string]string
	running map[int]string // names
	exits   map[int]func()
	changed func(string)
	queries []proc.Query
}

// ReadFile implements tracking.FileKernel.
func (k *fakeKernel) ReadFile(path string, _ int) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, there := k.tracked.files[path]
	if !there {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

// ReadDirectory implements tracking.DirectoryKernel.
func (k *fakeKernel) ReadDirectory(path string, _ int) (files []tracking.DirectoryFile, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fail["readdir"]; err != nil {
		return nil, err
	}
	for name := range k.tracked.files {
		if filepath.Dir(name) == path {
			files = append(files, tracking.DirectoryFile{Name: filepath.Base(name), Modified: time.Now().Truncate(time.Hour)})
		}
	}
	return files, nil
}

// WatchFiles implements tracking.FileKernel.
func (k *fakeKernel) WatchFiles(changed func(string)) (tracking.FileWatcher, error) {
	k.open()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tracked.changed = changed
	return fakeFileWatcher{k}, nil
}

type fakeFileWatcher struct{ k *fakeKernel }

func (fakeFileWatcher) Watch(string) error { return nil }
func (w fakeFileWatcher) Close() error     { return w.k.closed() }

// Processes implements tracking.ProcessKernel.
func (k *fakeKernel) Processes() tracking.ProcessFinder { return fakeFinder{k} }

type fakeFinder struct{ k *fakeKernel }

func (f fakeFinder) Set(queries []proc.Query) { f.k.tracked.queries = queries }
func (f fakeFinder) Look(int) []int           { return nil }

func (f fakeFinder) Find() ([][]int, error) {
	f.k.mu.Lock()
	defer f.k.mu.Unlock()
	all := make([][]int, len(f.k.tracked.queries))
	for n, q := range f.k.tracked.queries {
		for pid, name := range f.k.tracked.running {
			if name == q.Name {
				all[n] = append(all[n], pid)
			}
		}
	}
	return all, nil
}

// AwaitProcess implements tracking.ProcessKernel.
func (k *fakeKernel) AwaitProcess(pid int, ended func()) (func(), error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tracked.running[pid] == "" {
		return nil, os.ErrProcessDone
	}
	if k.tracked.exits == nil {
		k.tracked.exits = map[int]func(){}
	}
	k.tracked.exits[pid] = ended
	return func() {}, nil
}

// FollowProcesses implements tracking.ProcessKernel.
func (k *fakeKernel) FollowProcesses(context.Context, func(), func(int)) error {
	return proc.ErrNoEvents
}

// process starts a process, or ends it.
func (n *node) process(pid int, name string) {
	n.mu.Lock()
	if n.tracked.running == nil {
		n.tracked.running = map[int]string{}
	}
	ended := n.tracked.exits[pid]
	n.tracked.running[pid] = name
	if name == "" {
		delete(n.tracked.running, pid)
		delete(n.tracked.exits, pid)
	}
	n.mu.Unlock()
	if name == "" && ended != nil {
		ended()
	}
}

// writes writes a file.
func (n *node) writes(path, text string) {
	n.mu.Lock()
	if n.tracked.files == nil {
		n.tracked.files = map[string]string{}
	}
	n.tracked.files[path] = text
	changed := n.tracked.changed
	n.mu.Unlock()
	if changed != nil {
		changed(path)
	}
}

// trackingFile is a cluster file with an instance that depends on a track.
func trackingFile(track string) string {
	return electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], tracks: [t]}\n" +
		"tracks:\n  - {name: t, " + track + "}\n"
}

// trackedCases are faults of what tracks of each kind are about.
func trackedCases() []codesCase {
	nowhere := netip.Addr{}
	failed := health.Result{Code: health.Failed, Class: health.Bad, Cause: "command: exit status 1"}
	unrunnable := health.Result{Code: health.Unrunnable, Class: health.Bad, Cause: "command: cannot be run: /x does not exist"}
	answer := func(n *node, to netip.Addr, r *health.Result) {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.answers, to)
		if r != nil {
			n.answers[to] = *r
		}
	}
	router := netip.MustParseAddr("10.77.0.1")
	silent := health.Result{Code: health.Timeout, Class: health.Bad, Cause: "ping: 10.77.0.1: no answer within 1s"}
	fault := func(what, track string, before, breaks, mends func(n *node)) codesCase {
		return codesCase{File: trackingFile(track), Before: before, Case: problemtest.Case[*node]{
			Code: problem.InstanceFault, Subject: "a", Fault: what, Break: breaks, Mend: mends,
		}}
	}
	nothing := func(*node) {}
	return []codesCase{
		fault("a command fails", "type: command, command: [/x]", nothing,
			func(n *node) { answer(n, nowhere, &failed) }, func(n *node) { answer(n, nowhere, nil) }),
		fault("a gateway does not answer", "type: gateway, targets: [10.77.0.1], when: always", nothing,
			func(n *node) { answer(n, router, &silent) }, func(n *node) { answer(n, router, nil) }),
		fault("a process has ended", "type: process, process: mysqld", func(n *node) { n.process(10, "mysqld") },
			func(n *node) { n.process(10, "") }, func(n *node) { n.process(11, "mysqld") }),
		fault("a file is not 0", "type: file, path: /run/maintenance", nothing,
			func(n *node) { n.writes("/run/maintenance", "1") }, func(n *node) { n.writes("/run/maintenance", "0") }),
		fault("a tracked interface has no carrier", "type: interface, interface: eth1", nothing,
			func(n *node) { n.carrierOf("eth1", false) }, func(n *node) { n.carrierOf("eth1", true) }),
		{File: trackingFile("type: command, command: [/x]"), Case: problemtest.Case[*node]{
			Code: problem.CommandUnrunnable, Subject: "t",
			Break: func(n *node) { answer(n, nowhere, &unrunnable) },
			Mend:  func(n *node) { answer(n, nowhere, nil) },
		}},
		{File: trackingFile("type: file, path: /run/maintenance"), Case: problemtest.Case[*node]{
			Code: problem.TrackUnreadable, Subject: "t",
			Break: func(n *node) { n.writes("/run/maintenance", "yes") },
			Mend:  func(n *node) { n.writes("/run/maintenance", "0") },
		}},
	}
}

// carrierOf changes the carrier of an interface.
func (n *node) carrierOf(iface string, yes bool) {
	n.change(addr.Event{Kind: addr.LinkChanged, Interface: iface}, func() {
		for i := range n.links {
			if n.links[i].Name == iface {
				n.links[i].Carrier = yes
			}
		}
	})
}

// TestTracksAtOnce: what is watched is known before a director that starts can become MASTER, and a change is acted on at
// once: not after an interval.
func TestTracksAtOnce(t *testing.T) {
	for kind, one := range map[string]struct{ track, breaks, mends string }{
		"process":   {"type: process, process: mysqld", "process ends", "process begins"},
		"file":      {"type: file, path: /run/maintenance", "file 1", "file 0"},
		"interface": {"type: interface, interface: eth1", "carrier lost", "carrier"},
	} {
		world(t, func(t *testing.T, m *machine) {
			n := &node{machine: m}
			change := func(what string) {
				switch what {
				case "process ends":
					n.process(10, "")
				case "process begins":
					n.process(10, "mysqld")
				case "file 1", "file 0":
					n.writes("/run/maintenance", strings.TrimPrefix(what, "file "))
				case "carrier", "carrier lost":
					n.carrierOf("eth1", what == "carrier")
				}
				m.pass(verdictPause)
			}
			change(one.mends)
			m.start(trackingFile(one.track))
			change(one.breaks)
			if got := m.state("a"); got != "FAULT" {
				t.Errorf("%s: %s: %s", kind, one.breaks, got)
			}
			m.pass(10 * time.Second)
			if got := m.state("a"); got != "FAULT" {
				t.Errorf("%s: later: %s", kind, got)
			}
			if _ = m.stop(); true {
				m.history()
			}
			m.begin(trackingFile(one.track))
			m.pass(10 * time.Second)
			for _, what := range m.history() {
				if strings.Contains(what, vip) {
					t.Errorf("%s: it fails from the start, and there was: %s", kind, what)
				}
			}
			change(one.mends)
			m.pass(2 * time.Second)
			if got := m.state("a"); got != "MASTER" {
				t.Errorf("%s: in the end: %s", kind, got)
			}
		})
	}
}
