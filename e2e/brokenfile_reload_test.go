package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestBrokenReloads: no broken cluster file causes an outage. A reload by SIGHUP or by lvsctl refuses each with the
// position of the mistake, while clients are served, adverts are sent on time, and VIPs and table stay as they are.
// keepalived exits on several of these files and leaves its VIP behind.
//
// Proves docs/index.md: "A broken cluster file does not interrupt the service: a reload rejects it and reports the position
// of the mistake, and a start uses the last good copy and reports a problem."
// Proves docs/operations.md: "The running configuration stays in force as a whole, and `lvsctl status` shows a
// `PROBLEM` until a reload succeeds, or until the file that runs is restored."
// Proves docs/operations.md: "A new interface in the file must exist: a missing one is most likely a typo, and the
// instance would release its VIPs because of it."
func TestBrokenReloads(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	const advert = 100 * time.Millisecond
	c := newCluster(t, shape{advert: advert.String()})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.backup.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	good, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	all := mistakes()
	if len(all) < 50 {
		t.Fatalf("only %d mistakes", len(all))
	}
	before, quiet, backup := c.master.dataPlane(), c.master.daemon.Mark(), c.backup.daemon.Mark()
	measured := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond, Timeout: time.Second})
	measured.WaitAnswered("", soon)
	adverts := capture.Start(c.client, "eth0", lab.VRRP+" and src 10.77.0.2")
	begun := adverts.Wait("prio 150", soon).Time
	refused := 0
	try := func(m mistake) {
		wantError := m.apply(t, c.file, string(good))
		if refusal := c.master.refusedReload(refused%2 == 0); !regexp.MustCompile(wantError).MatchString(refusal) {
			t.Errorf("%s: the refusal is %q, want a match of %q", m.name, refusal, wantError)
		}
		if now := c.master.dataPlane(); now != before {
			t.Fatalf("%s: addresses and table were\n%sand are\n%s", m.name, before, now)
		}
		refused++
	}
	for i, m := range all {
		if !testing.Short() || i%3 == 0 {
			try(m)
		}
	}
	if !testing.Short() {
		for random := seeded(t); time.Since(begun) < 45*time.Second; {
			try(randomMistake(random, string(good)))
		}
	}
	for i, limit := 0, time.Now().Add(soon); len(adverts.Packets()) < minAdverts && time.Now().Before(limit); i++ {
		try(all[i%len(all)]) // on a fast machine all were refused within a few adverts
	}
	ended := time.Now()
	t.Logf("%d refusals, %s", refused, ended.Sub(begun).Round(time.Millisecond))
	onTime(t, ended, adverts.Stop(), advert)
	t.Logf("%+v", c.master.status().Instances[0].AdvertLateness)
	if !c.master.daemon.Running() {
		t.Error("the director has exited")
	}
	if log := quiet.Log(); strings.Contains(log, "change=") {
		t.Errorf("lvs-master has changed its table:\n%s", log)
	}
	result, moved := measured.Stop(), strings.Contains(quiet.Log()+backup.Log(), "msg=state")
	if result.Failed() > 0 || moved {
		t.Errorf("the VIP moved: %t; clients: %s", moved, result)
	}

	// status --check warns, and stops warning after a good reload.
	c.master.checkWarns(t, "the last reload was refused", true)
	if err := os.RemoveAll(c.file); err != nil {
		t.Fatal(err)
	}
	c.net.File("cluster.yaml", string(good))
	c.reload("scheduler: rr", "scheduler: wrr")
	lab.Eventually(t, soon, func() error {
		if got := c.master.table().Service(vipPort).Scheduler; got != "wrr" {
			return fmt.Errorf("after all the refusals a good file was not applied: scheduler %s", got)
		}
		return nil
	})
	c.master.checkWarns(t, "the last reload was refused", false)
}

// dataPlane returns the state that clients depend on: the addresses without their lifetimes, and the table.
func (n *node) dataPlane() string {
	n.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(n.Run("ip", "-o", "-4", "addr")) {
		line, _, _ = strings.Cut(line, `\`)
		b.WriteString(line + "\n")
	}
	return b.String() + n.Run("ipvsadm", "-Sn")
}

// checkWarns fails the test unless `lvsctl status --check` reports a problem that contains the text of, if want, or
// does not report it. Other problems are ignored.
func (n *node) checkWarns(t *testing.T, of string, want bool) {
	t.Helper()
	out, err := n.ctl("status", "--check")
	text := fmt.Sprint(out, err)
	if got := strings.Contains(text, of); got != want || want && lab.ExitCode(err) == 0 {
		t.Errorf("%s: status --check: %s; a warning of %q: %t, want %t", n.Name, text, of, got, want)
	}
}

// refusedReload makes a reload that must be refused, by SIGHUP or by lvsctl, and returns the text that the operator
// sees.
func (n *node) refusedReload(signal bool) string {
	n.t.Helper()
	const refused = `level=ERROR msg="reload refused`
	mark := n.daemon.Mark()
	if signal {
		n.daemon.Signal(syscall.SIGHUP)
		return mark.WaitLog(refused, soon).Text
	}
	out, err := n.ctl("reload")
	mark.WaitLog(refused, soon) // so that the next one finds its own
	if code := lab.ExitCode(err); code != 2 {
		n.t.Errorf("lvsctl reload: exit code %d, want 2: %v %s", code, err, out)
	}
	return fmt.Sprint(err)
}

// minAdverts is the number of adverts needed to judge whether they are on time.
const minAdverts = 10
