package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// tracked are the things that the tracks of trackedFile are about.
type tracked struct {
	t    *testing.T
	host *lab.Host
	dir  string // which every user may read
}

// trackedCluster is a cluster whose lvs-master depends on these tracks.
func trackedCluster(t *testing.T, tracks string, names ...string) (*cluster, tracked) {
	t.Helper()
	c := newCluster(t, shape{advert: "100ms"})
	dir, err := os.MkdirTemp("/tmp", "tracked")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.rewrite("{priority: 150}", "{priority: 150, tracks: ["+strings.Join(names, ", ")+"]}")
	c.rewrite("virtual_servers:", "tracks:\n"+strings.ReplaceAll(tracks, "DIR", dir)+"virtual_servers:")
	return c, tracked{t, c.master.Host, dir}
}

// write replaces a file, as an editor does.
func (x tracked) write(name, text string, mode os.FileMode) {
	x.t.Helper()
	path := filepath.Join(x.dir, name)
	err := os.WriteFile(path+".new", []byte(text), mode)
	if err == nil {
		err = os.Chmod(path+".new", mode)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x tracked) remove(name string) {
	x.t.Helper()
	if err := os.Remove(filepath.Join(x.dir, name)); err != nil {
		x.t.Fatal(err)
	}
}

// TestTracks: the VIP leaves a director when a command fails, hangs, is missing or may not be run, when a process is
// killed, when a number is written into a file, and when another interface has lost its carrier for down_delay; and it
// returns with each. A client gets answers again each time.
//
// Proves docs/failover.md: "A command that cannot be run is a failure, and is shown as such"
func TestTracks(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	long := !testing.Short()
	c, x := trackedCluster(t, `  - {name: check, type: command, command: [DIR/check], interval: 1s, timeout: 300ms, rise: 1, fall: 1}
  - {name: daemon, type: process, process: trackeddaemon}
  - {name: maintenance, type: file, path: DIR/maintenance}
  - {name: uplink, type: interface, interface: up0, down_delay: 1s}
`, "check", "daemon", "maintenance", "uplink")
	x.write("check", "#!/bin/sh\nexit 0\n", 0o755)
	daemon := c.trackedDaemon(x)
	c.master.Run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "far0")
	c.master.Run("ip", "link", "set", "up0", "up")
	c.master.Run("ip", "link", "set", "far0", "up")
	c.answering()
	c.startAll()
	client := measure.Start(c.client, vipPort, measure.Options{})
	client.WaitAnswered("", soon)

	script := func(text string) func() { return func() { x.write("check", "#!/bin/sh\n"+text+"\n", 0o755) } }
	for _, one := range []struct {
		daily  bool
		name   string
		breaks func()
		mends  func()
		reason string
	}{
		{true, "the command fails", script("echo the database is down; exit 3"), script("exit 0"), "command: exit status 3: the database is down"},
		{false, "the command hangs", script("trap '' TERM; sleep 600"), script("exit 0"), "killed after 300ms"},
		{true, "the command is missing", func() { x.remove("check") }, script("exit 0"), "cannot be run: .*/check does not exist"},
		{false, "the command may not be run", func() { x.write("check", "#!/bin/sh\n", 0o644) }, script("exit 0"), "user nobody may not execute"},
		{true, "the process is killed", func() { daemon.Kill() }, func() { daemon = c.trackedDaemon(x) }, "no process trackeddaemon runs"},
		{true, "the file has a number", func() { x.write("maintenance", "1\n", 0o644) }, func() { x.write("maintenance", "0\n", 0o644) }, "maintenance has 1"},
		{false, "the interface has no carrier", func() { c.master.Run("ip", "link", "set", "far0", "down") }, func() { c.master.Run("ip", "link", "set", "far0", "up") }, "interface up0 has no carrier"},
	} {
		if !one.daily && !long {
			continue
		}
		one.breaks()
		c.awaitHolder(c.backup, soon)
		c.master.daemon.WaitLog("to=FAULT reason=.*"+one.reason, soon)
		client.WaitAnswered("", soon)
		one.mends()
		c.awaitHolder(c.master, soon)
		client.WaitAnswered("", soon)
	}

	if left := c.master.Run("sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status || true"); left != "" {
		t.Errorf("zombies:\n%s", left)
	}
	if !long {
		return
	}
	// A carrier that is lost for less than down_delay moves nothing.
	before := strings.Count(c.master.daemon.Log(), "to=FAULT")
	c.master.Run("ip", "link", "set", "far0", "down")
	c.master.Run("ip", "link", "set", "far0", "up")
	time.Sleep(2 * time.Second)
	if now := strings.Count(c.master.daemon.Log(), "to=FAULT"); now != before || !c.master.holds() {
		t.Errorf("a short loss of the carrier moved the VIP:\n%s", c.master.daemon.Log())
	}
}

// trackedDaemon starts the process that is tracked.
func (c *cluster) trackedDaemon(x tracked) *lab.Daemon {
	c.t.Helper()
	path := filepath.Join(x.dir, "trackeddaemon")
	if _, err := os.Stat(path); err != nil {
		x.write("trackeddaemon", "#!/bin/sh\nwhile :; do sleep 600; done\n", 0o755)
	}
	return x.host.Start("trackeddaemon", path)
}
