package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// A killCluster is a cluster whose daemons are killed again and again, each time during an operation.
type killCluster struct {
	*cluster
	random *rand.Rand
	weight int // of mysql1 in the cluster file
}

// randomDelay returns a random time from 0 to limit.
func (d *killCluster) randomDelay(limit time.Duration) time.Duration {
	return time.Duration(d.random.Int64N(int64(limit)))
}

// killWithin kills a node's daemon (kill -9) after a random time of up to limit; the daemon may have exited before.
func (d *killCluster) killWithin(n *node, limit time.Duration) {
	time.Sleep(d.randomDelay(limit))
	n.daemon.Kill()
}

// killPhases are the operations during which a daemon is killed.
var killPhases = []struct {
	name string
	kill func(d *killCluster, n *node)
}{
	{"start", func(d *killCluster, n *node) {
		n.daemon.Kill()
		n.start()
		d.killWithin(n, 300*time.Millisecond)
	}},
	{"takeover", func(d *killCluster, n *node) {
		peer := d.master
		if n == d.master {
			peer = d.backup
		}
		peer.daemon.Kill()
		time.Sleep(300 * time.Millisecond) // nearly the master-down interval of n
		d.killWithin(n, 150*time.Millisecond)
		peer.start()
	}},
	{"reload", func(d *killCluster, n *node) {
		next := 1 + d.random.IntN(100)
		d.edit(fmt.Sprintf("10.77.0.11, weight: %d}", d.weight), fmt.Sprintf("10.77.0.11, weight: %d}", next))
		d.weight = next
		n.daemon.Signal(syscall.SIGHUP)
		d.killWithin(n, 50*time.Millisecond)
	}},
	{"stop", func(d *killCluster, n *node) {
		n.daemon.Signal(syscall.SIGTERM)
		d.killWithin(n, 50*time.Millisecond)
	}},
}

// checkStateFile returns nil if a node's state file is complete, or does not exist yet.
func (n *node) checkStateFile() error {
	path := n.Path("state", "state.json")
	if strings.HasSuffix(n.binary, "lvs-realserver") {
		path = n.Path("state", "realserver", "state.json")
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var state struct {
		Version int    `json:"version"`
		BootID  string `json:"boot_id"`
	}
	if err == nil {
		err = json.Unmarshal(data, &state)
	}
	if err == nil && (state.Version != 2 || state.BootID == "") {
		err = fmt.Errorf("%s", data)
	}
	if err != nil {
		return fmt.Errorf("state file of %s: %w", n.Name, err)
	}
	return nil
}

// TestDeaths: daemons are killed at random moments of a start, a takeover, a reload, a stop. Afterwards the VIP has one
// holder, the tables are as in the file, and nothing foreign has changed; the last graceful stop restores what the
// machines had before the first start.
//
// Proves docs/operations.md: "A daemon may be killed at any moment, including during a start, a takeover, a reload or a
// stop."
// Proves docs/operations.md: "A later graceful stop still restores the settings that the machine had before the very
// first start."
func TestDeaths(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	lab.AnyKernel(t)
	random, times := seeded(t), 8
	if !testing.Short() {
		times = 200
	}
	const lease = 3 * time.Second
	c := newCluster(t, shape{advert: "100ms", instance: "lease: " + lease.String(), scheduler: "wrr", server: "persistence: {timeout: 50s}"})
	c.answering()
	for key, odd := range map[string]string{"all.arp_ignore": "3", "all.arp_announce": "1", "eth0.arp_ignore": "2"} {
		c.mysql1.Sysctl("net.ipv4.conf."+key, odd)
	}
	untouched := addForeignServices(c.master)
	nodes := []*node{c.master, c.backup, c.mysql1, c.mysql2}
	before := make([]string, len(nodes))
	for i, n := range nodes {
		before[i] = hostState(n.Host)
	}
	c.startAll()
	d := &killCluster{cluster: c, random: random, weight: 1}
	begun := time.Now()
	for i := range times {
		phase, victim := killPhases[random.IntN(len(killPhases))], nodes[random.IntN(3)]
		if phase.name == "takeover" && victim == c.mysql1 {
			victim = c.backup
		}
		phase.kill(d, victim)
		if err := victim.checkStateFile(); err != nil {
			t.Errorf("%d: %s during %s: %v", i, victim.Name, phase.name, err)
		}
		victim.start()
		time.Sleep(d.randomDelay(200 * time.Millisecond))
	}
	t.Logf("%d kills in %s", times, time.Since(begun))

	t.Run("afterwards", func(t *testing.T) { d.awaitConfigured(t) })
	t.Run("VIP of a killed director", func(t *testing.T) {
		watch := c.master.watchVIP()
		killed := time.Now()
		c.master.daemon.Kill()
		if kept := watch.awaitEnd(soon).Sub(killed); kept > lease+leaseEndAllowance {
			t.Errorf("the VIP stayed %s on the machine of the killed daemon, want at most %s", kept, lease+leaseEndAllowance)
		}
		lab.Eventually(t, soon, func() error { return c.heldOnlyBy(c.backup) })
		c.master.start()
		d.awaitConfigured(t)
	})
	if problem := untouched(); problem != nil {
		t.Error(problem)
	}
	for i, n := range nodes {
		if code := n.daemon.Stop(); code != 0 {
			t.Errorf("%s: exit code %d", n.Name, code)
		}
		assertRestored(t, n.Host, before[i])
	}
}

// awaitConfigured waits until VIP, tables and real servers are as in the cluster file.
func (d *killCluster) awaitConfigured(t *testing.T) {
	t.Helper()
	for _, n := range []*node{d.master, d.backup} {
		lab.Eventually(t, soon, func() error { // the daemon may have just been started
			_, err := n.ctl("reload")
			return err
		})
	}
	d.awaitHolder(d.master, soon)
	for _, n := range []*node{d.master, d.backup} {
		lab.Eventually(t, soon, func() error {
			service := n.table().Service(vipPort)
			one, two := service.Server("10.77.0.11:3306"), service.Server("10.77.0.12:3306")
			if service.Scheduler != "wrr" || service.Persistent != 50 || len(service.Servers) != 2 || one.Weight != d.weight || two.Weight != 1 {
				return fmt.Errorf("%s: want weights %d and 1 in\n%s", n.Name, d.weight, n.table().Text)
			}
			return nil
		})
	}
	lab.Eventually(t, soon, d.mysql1.readyForDR)
	lab.Eventually(t, soon, d.mysql2.readyForDR)
}
