package tracking

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/process"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loop is a loop of this package.
type loop interface {
	task.Task
	Set([]plan.Watch)
	Verdicts(map[config.Subject]health.Verdict)
}

// start runs a loop until the test ends.
func start(t *testing.T, l loop) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// check waits until nothing more happens at this moment, and compares a verdict.
func check(t *testing.T, l loop, track string, want string) {
	t.Helper()
	synctest.Wait()
	all := map[config.Subject]health.Verdict{}
	l.Verdicts(all)
	v := all[config.Subject{Track: config.TrackID(track)}]
	word := "unknown"
	switch {
	case v.Known && v.Up:
		word = "up"
	case v.Known:
		word = "down"
	}
	if got := fmt.Sprintf("%s %s %d: %s", word, v.Code, v.Value, v.Reason); got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", track, got, want)
	}
}

func watches(all map[string]config.Watch) []plan.Watch {
	var list []plan.Watch
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, plan.Watch{Track: config.TrackID(name), Watch: all[name]})
	}
	return list
}

func TestLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen task.Published[[]kernel.Link]
		var changes []string
		l := NewLinks(seen.Get, func(of config.Subject, before, now health.Verdict) {
			changes = append(changes, fmt.Sprintf("%s %t", of, now.Up))
		})
		l.Set(watches(map[string]config.Watch{
			"one":    config.WatchedInterface{Interface: "eth1"},
			"slow":   config.WatchedInterface{Interface: "eth1", Delays: config.Delays{Up: 3 * time.Second, Down: 2 * time.Second}},
			"none":   config.WatchedInterface{Interface: "eth7"},
			"others": config.WatchedFile{Path: "/x"},
		}))
		start(t, l)
		check(t, l, "one", "unknown  0: unknown: not looked at yet")
		if synctest.Wait(); l.ready.Closed() {
			t.Error("ready before the interfaces have been read")
		}
		eth1 := kernel.Link{Name: "eth1", Up: true, Carrier: true}
		seen.Set([]kernel.Link{eth1})
		check(t, l, "one", "up ok 0: up: interface eth1 has a carrier")
		check(t, l, "slow", "up ok 0: up: interface eth1 has a carrier")
		check(t, l, "none", "down failed 0: down: interface eth7 does not exist")
		if !l.ready.Closed() {
			t.Error("not ready")
		}
		eth1.Carrier = false
		seen.Set([]kernel.Link{eth1})
		check(t, l, "one", "down failed 0: down: interface eth1 has no carrier (check the cable and the switch port)")
		check(t, l, "slow", "up failed 0: up: interface eth1 has no carrier (check the cable and the switch port) (it counts as down after 2s)")
		time.Sleep(1999 * time.Millisecond)
		check(t, l, "slow", "up failed 0: up: interface eth1 has no carrier (check the cable and the switch port) (it counts as down after 2s)")
		time.Sleep(time.Millisecond)
		check(t, l, "slow", "down failed 0: down: interface eth1 has no carrier (check the cable and the switch port)")
		eth1.Carrier = true
		seen.Set([]kernel.Link{eth1})
		check(t, l, "one", "up ok 0: up: interface eth1 has a carrier")
		check(t, l, "slow", "down ok 0: down: interface eth1 has a carrier (it counts as up after 3s)")
		eth1.Up = false
		seen.Set([]kernel.Link{eth1})
		check(t, l, "one", "down failed 0: down: interface eth1 is down (ip link set eth1 up)")
		changes = nil
		l.Set(watches(map[string]config.Watch{"renamed": config.WatchedInterface{Interface: "eth1"}}))
		check(t, l, "renamed", "down failed 0: down: interface eth1 is down (ip link set eth1 up)")
		if len(changes) > 0 {
			t.Errorf("a new name is a change: %q", changes)
		}
	})
}

// files is a FileKernel.
type files struct {
	mu      sync.Mutex
	content map[string]string
	fail    map[string]error
	hang    chan struct{} // reads block until it is closed
	changed func(string)
	watched []string
}

func (f *files) ReadFile(path string, limit int) ([]byte, error) {
	f.mu.Lock()
	hang := f.hang
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail[path]; err != nil {
		return nil, err
	}
	text, there := f.content[path]
	if !there {
		return nil, fs.ErrNotExist
	}
	return []byte(text[:min(len(text), limit)]), nil
}

func (f *files) WatchFiles(changed func(string)) (FileWatcher, error) {
	f.changed = changed
	return f, nil
}

func (f *files) Watch(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watched = append(f.watched, dir)
	return nil
}

func (f *files) Close() error { return nil }

func (f *files) write(path, text string) {
	f.mu.Lock()
	f.content[path] = text
	f.mu.Unlock()
	f.changed(path)
}

func TestFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &files{content: map[string]string{"/run/a": "3\n", "/run/garbage": "x"}, fail: map[string]error{"/run/denied": errors.New("open /run/denied: permission denied")}}
		f := NewFiles(k, slog.New(slog.DiscardHandler), nil)
		f.Set(watches(map[string]config.Watch{
			"a": config.WatchedFile{Path: "/run/a"}, "missing": config.WatchedFile{Path: "/run/m"},
			"garbage": config.WatchedFile{Path: "/run/garbage"}, "denied": config.WatchedFile{Path: "/run/denied"},
		}))
		start(t, f)
		check(t, f, "a", "down failed 3: down: /run/a has 3")
		check(t, f, "missing", "up ok 0: up: /run/m does not exist, which counts as 0")
		check(t, f, "garbage", `unknown unreadable 0: unknown: /run/garbage has "x" and no number: write one from -254 to 254`)
		check(t, f, "denied", "unknown unreadable 0: unknown: open /run/denied: permission denied (let the daemon read it)")
		if !f.ready.Closed() {
			t.Error("not ready")
		}
		begun := time.Now()
		for _, one := range []struct{ text, want string }{
			{"0", "up ok 0: up: /run/a has 0"},
			{" -7\n", "down failed -7: down: /run/a has -7"},
			{"a very long text that is not a number", `down unreadable -7: down: kept: /run/a has "a very long text tha…" and no number: write one from -254 to 254`},
			{"", "up ok 0: up: /run/a is empty, which counts as 0"},
			{"99999999999999999999999", "down failed 254: down: /run/a has more than 254, which counts as that"},
			{"-255", "down failed -254: down: /run/a has less than -254, which counts as that"},
			{"1 2", `down unreadable -254: down: kept: /run/a has "1 2" and no number: write one from -254 to 254`},
		} {
			k.write("/run/a", one.text)
			check(t, f, "a", one.want)
		}
		if time.Now() != begun {
			t.Error("changes are not seen at once")
		}
		k.mu.Lock()
		k.content["/run/m"] = "1" // without an event
		k.mu.Unlock()
		time.Sleep(lookEvery)
		check(t, f, "missing", "down failed 1: down: /run/m has 1")
		k.mu.Lock()
		k.hang = make(chan struct{})
		k.mu.Unlock()
		time.Sleep(lookEvery + readWithin)
		check(t, f, "missing", "down unreadable 1: down: kept: reading /run/m has not returned for 3s (put it on a local file system)")
		k.mu.Lock()
		close(k.hang)
		k.hang = nil
		k.mu.Unlock()
		check(t, f, "missing", "down failed 1: down: /run/m has 1")
	})
}

// processes is a ProcessKernel.
type processes struct {
	mu      sync.Mutex
	running map[int]string // names
	exits   map[int]func()
	changed func(int) // nil: no events
	events  bool
	hang    chan struct{}
	fail    error
	finds   int
	queries []process.Query
}

func (k *processes) Processes() ProcessFinder { return k }

func (k *processes) AwaitProcess(pid int, ended func()) (func(), error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running[pid] == "" {
		return nil, os.ErrProcessDone
	}
	k.exits[pid] = ended
	return func() { delete(k.exits, pid) }, nil
}

func (k *processes) FollowProcesses(ctx context.Context, ready func(), deliver func(int)) error {
	if !k.events {
		return process.ErrNoEvents
	}
	ready()
	k.mu.Lock()
	k.changed = deliver
	k.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (k *processes) Set(queries []process.Query) { k.queries = queries }

func (k *processes) Find() ([][]int, error) {
	k.mu.Lock()
	hang := k.hang
	k.mu.Unlock()
	if hang != nil {
		<-hang
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.finds++
	all := make([][]int, len(k.queries))
	for n, q := range k.queries {
		for pid, name := range k.running {
			if name == q.Name {
				all[n] = append(all[n], pid)
			}
		}
	}
	return all, k.fail
}

func (k *processes) Look(pid int) []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	var matches []int
	for n, q := range k.queries {
		if k.running[pid] == q.Name {
			matches = append(matches, n)
		}
	}
	return matches
}

func (k *processes) begin(pid int, name string) {
	k.mu.Lock()
	k.running[pid] = name
	changed := k.changed
	k.mu.Unlock()
	if changed != nil {
		changed(pid)
	}
}

func (k *processes) end(pid int) {
	k.mu.Lock()
	delete(k.running, pid)
	ended := k.exits[pid]
	delete(k.exits, pid)
	k.mu.Unlock()
	if ended != nil {
		ended()
	}
}

func TestProcesses(t *testing.T) {
	for _, events := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k := &processes{running: map[int]string{10: "mysqld", 20: "nginx", 21: "nginx"}, exits: map[int]func(){}, events: events}
			p := NewProcesses(k, slog.New(slog.DiscardHandler), nil)
			start(t, p)
			synctest.Wait()
			if k.finds > 0 {
				t.Error("processes are listed without a track")
			}
			p.Set(watches(map[string]config.Watch{
				"db":   config.WatchedProcess{Process: "mysqld", AtLeast: 1},
				"web":  config.WatchedProcess{Process: "nginx", AtLeast: 2, AtMost: 3},
				"slow": config.WatchedProcess{Process: "mysqld", Owner: "mysql", AtLeast: 1, Delays: config.Delays{Up: time.Second, Down: 2 * time.Second}},
			}))
			check(t, p, "db", "up ok 0: up: process mysqld runs (10)")
			check(t, p, "web", "up ok 0: up: process nginx runs 2 times, at_least 2, at_most 3")
			if !p.ready.Closed() {
				t.Error("not ready")
			}
			k.end(10)
			check(t, p, "db", "down failed 0: down: no process mysqld runs")
			check(t, p, "slow", "up failed 0: up: no process mysqld of user mysql runs (it counts as down after 2s)")
			k.begin(11, "mysqld")
			if !events {
				time.Sleep(findEvery)
			}
			check(t, p, "db", "up ok 0: up: process mysqld runs (11)")
			check(t, p, "slow", "up ok 0: up: process mysqld of user mysql runs (11)")
			k.end(20)
			check(t, p, "web", "down failed 0: down: process nginx runs (21, at_least 2, at_most 3)")
			for pid := 30; pid < 33; pid++ {
				k.begin(pid, "nginx")
			}
			time.Sleep(findEvery)
			check(t, p, "web", "down failed 0: down: process nginx runs 4 times, at_least 2, at_most 3")
			k.begin(11, "other") // it becomes another program, and goes on
			time.Sleep(findEvery)
			check(t, p, "db", "down failed 0: down: no process mysqld runs")
			k.mu.Lock()
			k.fail = errors.New("list the processes: out of files")
			k.mu.Unlock()
			time.Sleep(findFollowing)
			check(t, p, "db", "down unreadable 0: down: kept: list the processes: out of files")
			k.mu.Lock()
			k.fail, k.hang = nil, make(chan struct{})
			k.mu.Unlock()
			time.Sleep(findFollowing + readWithin)
			synctest.Wait()
			if v := p.verdict(config.WatchedProcess{Process: "mysqld", AtLeast: 1}); v.Code != health.Unreadable || v.Up || !v.Known {
				t.Errorf("while /proc hangs: %+v", v)
			}
			k.mu.Lock()
			k.running[12] = "mysqld"
			close(k.hang)
			k.hang = nil
			k.mu.Unlock()
			check(t, p, "db", "up ok 0: up: process mysqld runs (12)")
			// A changed limit is judged by what is known.
			p.Set(watches(map[string]config.Watch{"db": config.WatchedProcess{Process: "mysqld", AtLeast: 2}}))
			check(t, p, "db", "down failed 0: down: process mysqld runs (12, at_least 2)")
		})
	}
}
