package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestYoungConnections: at a planned move no connection breaks that is open, however young it is: also those break not that were
// opened in the last seconds, of which the kernel has not told the other director.
//
// Proves docs/failover.md: "At a planned move no open connection breaks, however young it is"
func TestYoungConnections(t *testing.T) {
	lab.Need(t, lab.IPVS)
	methods := []string{"dr"}
	if lab.HasLongForm(t) {
		methods = []string{"dr", "nat", "tun"}
	}
	for _, forward := range methods {
		t.Run(forward, func(t *testing.T) { moveYoung(t, forward, heldPairs[forward](t, true)) })
	}
}

func moveYoung(t *testing.T, forward string, p heldPair) {
	p.master.start()
	p.await(p.master)
	p.backup.start()
	p.backup.awaitReady()
	name := map[string]string{"nat": "site", "dr": "mysql", "tun": "mysql"}[forward]
	for _, m := range []struct {
		what string
		to   *node
		move func() (string, error)
	}{
		{"failover", p.backup, func() (string, error) { return p.master.ctl("failover", name) }},
		{"preemption", p.master, func() (string, error) { return p.master.ctl("failover", name, "--release") }},
		{"stop", p.backup, func() (string, error) { p.master.daemon.Signal(syscall.SIGTERM); return "", nil }},
	} {
		p.moveUnderYoung(t, m.what, m.to, m.move)
	}
	p.master.daemon.Wait(soon)
}

// moveUnderYoung moves the VIPs while connections are opened, which stay open: few, because many fill a message of the kernel, which
// is then sent at once. One that is being opened in the very moment may fail.
func (p heldPair) moveUnderYoung(t *testing.T, what string, to *node, move func() (string, error)) {
	var all []*measure.Connections
	missed := 0
	open := func() {
		one, err := measure.OpenOne(p.client, vipPort)
		if err != nil {
			missed++
			t.Logf("%s: one that was being opened: %v", what, err)
			return
		}
		all = append(all, one)
		time.Sleep(70 * time.Millisecond)
	}
	for range 15 {
		open()
	}
	moved := make(chan string, 1)
	go func() {
		if out, err := move(); err != nil {
			moved <- fmt.Sprintf("%v: %s", err, out)
		}
		close(moved)
	}()
	for end := time.Now().Add(soon); time.Now().Before(end) && !to.holds(); {
		open()
	}
	p.await(to)
	if failed := <-moved; failed != "" {
		t.Errorf("%s: %s", what, failed)
	}
	dead, causes := 0, ""
	for n, one := range all {
		if alive := one.Alive(); alive["mysql1"]+alive["mysql2"] != 1 {
			dead++
			causes = fmt.Sprintf("%d: %v", n+1, one.Errors())
		}
		one.Close()
	}
	t.Logf("%s: %d of %d young connections broke", what, dead, len(all))
	if dead > 0 || missed > 1 {
		t.Errorf("%s: of %d young connections %d broke, and %d were not opened; the last was %s", what, len(all), dead, missed, causes)
	}
}

// takeOverRules are the rules by which a director does not reset unknown connections; "" if it has none.
func (n *node) takeOverRules() string {
	out, err := n.Try("nft", "list", "table", "inet", "lvs_director_take_over")
	if err != nil {
		return ""
	}
	return out
}

// awaitTakeOverRules waits until a director has these rules, or has none.
func (n *node) awaitTakeOverRules(want bool) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if has := strings.Contains(n.takeOverRules(), vip); has != want {
			return fmt.Errorf("rules of %s: %t, want %t", n.Name, has, want)
		}
		return nil
	})
}

// TestUnknownConnections: a director that has just become MASTER does not reset connections that it does not know for two seconds,
// because the former MASTER may be about to send them; then it does. It refuses to connect to a closed port at once all the
// time. The rules are there while it is BACKUP, come back if another program removes them, outlive a kill, and go with a stop
// or a cleanup.
//
// Proves docs/failover.md: "A director that has just become MASTER does not reset connections that it does not know, for 2 s"
func TestUnknownConnections(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newCluster(t, shape{advert: "200ms", more: "connection_sync: {}"})
	c.answering()
	c.startAll()
	c.backup.awaitWarm()
	c.backup.awaitTakeOverRules(true)
	c.master.awaitTakeOverRules(false)
	c.master.Link("eth0").Drop(lab.FromHost, "udp port 8848") // what it sends of its connections is lost
	held := measure.OpenConnections(c.client, vipPort, 3)
	mark := c.backup.daemon.Mark()
	resets := capture.Start(c.client, "eth0", "tcp src port 3306 and tcp[tcpflags] & tcp-rst != 0")
	if out, err := c.master.ctl("failover", "mysql"); err != nil {
		t.Fatalf("failover: %v: %s", err, out)
	}
	taken := loggedAt(t, mark.WaitLog("to=MASTER", soon))
	_, err := measure.OpenOne(c.client, vip+":81") // after more than two seconds, on a busy machine, this shows nothing
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a closed port %s after the take-over: %v", time.Since(taken), err)
	}
	if alive := held.Alive(); len(alive) > 0 {
		t.Errorf("connections survived of which lvs-backup knows nothing: %v", alive)
	}
	packets := resets.Stop()
	if len(packets) == 0 || packets[0].Time.Sub(taken) < 2*time.Second-allowance {
		t.Errorf("taken at %s, and reset by %v", taken, packets)
	}
	c.backup.awaitTakeOverRules(false)
	c.master.awaitTakeOverRules(true)

	c.master.Run("nft", "flush", "ruleset")
	c.master.awaitTakeOverRules(true)
	c.master.daemon.Kill()
	c.master.awaitTakeOverRules(true)
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.master.awaitTakeOverRules(false)
	c.backup.awaitTakeOverRules(true)
	c.backup.daemon.Kill()
	c.backup.Run(program(t, "lvs-director"), "cleanup", "--config", c.backup.file, "--state-dir", c.backup.Path("state"))
	c.backup.awaitTakeOverRules(false)
	c.master.daemon.Stop()
	c.master.awaitTakeOverRules(false)
}
