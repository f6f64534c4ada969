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

// maxHandoverGap is the longest time for which a planned handover may leave a client without an answer.
const maxHandoverGap = 40 * time.Millisecond

// TestStopHandsOver: while a MASTER is stopped gracefully, clients are answered all the time, because the other director has
// taken the VIP before this one lets it go; open connections survive. The director that returns preempts in the same way.
//
// Proves docs/failover.md: "A graceful stop of a MASTER hands over first, if another director replies."
func TestStopHandsOver(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "200ms", more: "connection_sync: {}"})
	c.answering()
	c.startAll()
	held := measure.OpenConnections(c.client, vipPort, 20)
	c.awaitEntries(c.backup, 20)
	c.backup.awaitWarm()
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	moved := watchMoves(t, c.client, c.master, c.backup)
	client := measure.Start(c.client, vipPort, patient)
	client.WaitAnswered("", soon)
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}
	segment, begun := c.segment(), time.Now()
	if code := c.master.daemon.Stop(); code != 0 {
		t.Errorf("the director exited with %d", code)
	}
	t.Logf("the stop took %s", time.Since(begun))
	c.awaitHolder(c.backup, soon)
	client.WaitAnswered("", soon)
	result := client.Stop().Since(begun)
	moved.check(result)
	checkGap(t, result)
	if alive := held.Alive(); alive["mysql1"]+alive["mysql2"] != 20 {
		t.Errorf("%d of 20 open connections survived: %v", alive["mysql1"]+alive["mysql2"], held.Errors())
	}
	if both := overlap(watches[0], watches[1]); both > time.Second {
		t.Errorf("both held the VIP for %s: %v and %v", both, watches[0].periods(), watches[1].periods())
	}
	ended := watches[0].awaitEnd(soon)
	announcedBefore(t, ended, announcements(segment.Stop(), c.backup, begun, time.Now()))
	if sent := capture.Matching(adverts.Stop(), `10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`); len(sent) > 0 {
		t.Errorf("the MASTER resigned: %v", sent)
	}
}

// TestHandover: `lvsctl failover` moves the VIP under a load of new connections and without an interruption; the director stays
// BACKUP, although its priority is higher, until `--release`, or until its successor is gone.
//
// Proves docs/failover.md: "Afterwards it stays BACKUP, whatever its priority, until `lvsctl failover mysql --release`, or until
// nobody else is MASTER."
func TestHandover(t *testing.T) {
	lab.Need(t, lab.IPVS)
	long := lab.HasLongForm(t)
	c := newCluster(t, shape{advert: "200ms", more: "connection_sync: {}"})
	c.answering()
	c.startAll()
	held := measure.OpenConnections(c.client, vipPort, 20)
	c.awaitEntries(c.backup, 20)
	c.backup.awaitWarm()
	moved := watchMoves(t, c.client, c.master, c.backup)
	client := measure.Start(c.client, vipPort, patient)
	client.WaitAnswered("", soon)
	begun := time.Now()
	move := func(n *node, args ...string) string {
		t.Helper()
		out, err := n.ctl(append([]string{"failover"}, args...)...)
		if err != nil {
			t.Fatalf("%s: lvsctl failover %v: %v: %s", n.Name, args, err, out)
		}
		return out
	}
	t.Log(move(c.master, "mysql"))
	if err := c.heldOnlyBy(c.backup); err != nil {
		t.Error(err)
	}
	lab.Consistently(t, time.Second, func() error { return c.heldOnlyBy(c.backup) }) // more than a master-down interval
	if out, _ := c.master.ctl("status"); !strings.Contains(out, "until `lvsctl failover mysql --release`") {
		t.Errorf("the status does not say how it ends:\n%s", out)
	}
	for _, bad := range []struct {
		n    *node
		args []string
		want string
	}{
		{c.master, []string{"mysql"}, "run lvsctl failover on 10.77.0.3"},
		{c.master, []string{"nobody"}, "no VRRP instance or sync group nobody here: the instances are mysql"},
		{c.backup, []string{"mysql", "--release"}, "has not been handed over"},
	} {
		if _, err := bad.n.ctl(append([]string{"failover"}, bad.args...)...); lab.ExitCode(err) != 1 || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: lvsctl failover %v: %v", bad.n.Name, bad.args, err)
		}
	}
	if long {
		move(c.backup, "mysql") // back, although lvs-master stays out: the other one hands over
		if err := c.heldOnlyBy(c.master); err != nil {
			t.Error(err)
		}
		move(c.master, "mysql")
	}
	result := client.Stop().Since(begun)
	moved.check(result)
	checkGap(t, result)
	if alive := held.Alive(); alive["mysql1"]+alive["mysql2"] != 20 {
		t.Errorf("%d of 20 open connections survived: %v", alive["mysql1"]+alive["mysql2"], held.Errors())
	}
	move(c.master, "mysql", "--release")
	c.awaitHolder(c.master, soon)
	if long {
		move(c.master, "mysql")
		c.backup.daemon.Kill()
		c.awaitHolder(c.master, soon)
	}
}

// TestSecondSignal: a second SIGTERM, and a stop without another director, resign at once.
//
// Proves docs/failover.md: "A second SIGTERM resigns at once, as does a stop while the machine shuts down."
func TestSecondSignal(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "1s"})
	c.answering()
	c.startAll()
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	mark := c.master.daemon.Mark()
	c.master.daemon.Signal(syscall.SIGTERM)
	mark.WaitLog("handing over before the stop", soon)
	second := time.Now()
	c.master.daemon.Signal(syscall.SIGTERM)
	adverts.Wait(`10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`, soon)
	c.master.daemon.Wait(soon)
	if took := time.Since(second); took > 500*time.Millisecond {
		t.Errorf("the stop took %s after the second signal", took)
	}
	c.awaitHolder(c.backup, soon)

	c.master.Link("eth0").Unplug() // lvs-backup is alone
	alone := time.Now()
	c.backup.daemon.Stop()
	if took := time.Since(alone); took > 1500*time.Millisecond {
		t.Errorf("the stop of the only director took %s", took)
	}
}

// TestHandoverToKeepalived: a director hands over to a preempting keepalived without an interruption, and it to a director as
// it always does. To a keepalived with nopreempt nothing is handed over by command. A stop resigns in the end, and keeps the VIP
// until that keepalived has announced it. Clients notice nothing.
//
// Proves docs/failover.md: "keepalived does so unless it has `nopreempt`"
// Proves docs/failover.md: "a director that stops resigns (priority 0), and keeps the VIPs until another one has taken over and
// announced them"
func TestHandoverToKeepalived(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{3, 200 * time.Millisecond}
	for _, preempts := range []bool{true, false} {
		name := map[bool]string{true: "preempt", false: "nopreempt"}[preempts]
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, shape{advert: r.advert.String()})
			c.answering()
			c.mysql1.start()
			c.mysql2.start()
			c.master.start()
			c.awaitHolder(c.master, soon)
			conf := keepalivedConf(c.backup.Name, r)
			if !preempts {
				conf = strings.Replace(conf, "state BACKUP", "state BACKUP\n  nopreempt", 1)
			}
			c.backup.daemon = lab.StartKeepalived(c.backup.Host, conf)
			for _, n := range []*node{c.master, c.backup} {
				c.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
			}
			adverts := capture.Start(c.client, "eth0", lab.VRRP)
			moved := watchMoves(t, c.client, c.master, c.backup)
			client := measure.Start(c.client, vipPort, patient)
			client.WaitAnswered("", soon)
			begun := time.Now()
			out, err := c.master.ctl("failover", "mysql")
			if preempts && err != nil || !preempts && (lab.ExitCode(err) != 1 || !strings.Contains(err.Error(), "nobody took mysql over")) {
				t.Errorf("%v: %s", err, out)
			}
			resigned := len(capture.Matching(adverts.Stop(), `10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`)) > 0
			if !preempts {
				c.stopsBesideNoPreempt()
			}
			c.awaitHolder(c.backup, soon)
			client.WaitAnswered("", soon)
			result := client.Stop().Since(begun)
			moved.check(result)
			checkGap(t, result)
			if resigned {
				t.Error("the director resigned")
			}
		})
	}
}

// announcedBefore checks make before break: the packets of the new MASTER announce the VIP before the former one removes it.
func announcedBefore(t *testing.T, removed time.Time, packets []capture.Packet) {
	t.Helper()
	if announced := capture.Matching(packets, "ARP"); len(announced) == 0 || announced[0].Time.After(removed) {
		t.Errorf("the VIP was removed at %s, and announced by the new MASTER: %v", removed, announced)
	}
}

// keptForASecond checks for how long a former MASTER keeps the VIP when it hears only the first advert of its successor.
func keptForASecond(t *testing.T, watch *vipWatch, since time.Time) {
	t.Helper()
	kept := watch.awaitEnd(soon).Sub(since)
	t.Logf("the former MASTER kept the VIP for %s", kept)
	if kept < time.Second-allowance || kept > time.Second+takeoverAllowance {
		t.Errorf("the former MASTER kept the VIP for %s after the first advert of its successor, want 1s", kept)
	}
}

// checkGap checks that clients were answered without an interruption.
func checkGap(t *testing.T, r measure.Result) {
	t.Helper()
	if gap := r.LongestOutage(); gap.Duration > maxHandoverGap {
		t.Errorf("longest gap %s, want at most %s", gap, maxHandoverGap)
	}
}

// stopsBesideNoPreempt stops lvs-master, whose successor does not preempt.
func (c *cluster) stopsBesideNoPreempt() {
	c.t.Helper()
	segment, watch, begun := c.segment(), c.master.watchVIP(), time.Now()
	c.master.daemon.Stop()
	ended := watch.awaitEnd(soon)
	packets := segment.Stop()
	if len(capture.Matching(announcements(packets, c.master, begun, time.Now()), "prio 0,")) == 0 {
		c.t.Error("lvs-master has not resigned")
	}
	announcedBefore(c.t, ended, announcements(packets, c.backup, begun, time.Now()))
}

// TestHandoverOfASyncGroup: all instances of a sync group are handed over, of both families, and no VIP is without a holder.
//
// Proves docs/failover.md: "An instance of a sync group takes its whole group along."
func TestHandoverOfASyncGroup(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	c := newSite(t)
	c.master.start()
	c.backup.start()
	c.awaitSite("both started", c.master, c.backup)
	for _, name := range []string{"site", "inside6"} {
		if out, err := c.master.ctl("failover", name); err != nil {
			t.Fatalf("lvsctl failover %s: %v: %s", name, err, out)
		}
		if err := holdsAll(siteVIPs, c.backup.Host, c.master.Host); err != nil {
			t.Errorf("lvsctl failover %s: %v", name, err)
		}
		if log := c.master.daemon.Log(); strings.Contains(log, "resigned") {
			t.Errorf("lvsctl failover %s:\n%s", name, log)
		}
		if out, err := c.master.ctl("failover", name, "--release"); err != nil {
			t.Fatalf("lvsctl failover %s --release: %v: %s", name, err, out)
		}
		c.awaitSite("released", c.master, c.backup)
	}
}

// TestHandoverOfAVirtualMAC: both directors have the VIP, and the MAC address, for a second at most.
//
// Proves docs/failover.md: "For up to a second both directors hold the VIPs."
func TestHandoverOfAVirtualMAC(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	p := newVirtualPair4(t, 100*time.Millisecond, "virtual_mac: true")
	p.master.start()
	lab.Eventually(t, soon, func() error { return p.master.stateIs("MASTER") })
	p.backup.start()
	lab.Eventually(t, soon, func() error { return p.backup.stateIs("BACKUP") })
	watches := []*vipWatch{p.master.watchVIP(), p.backup.watchVIP()}
	name := p.master.status().Instances[0].Name
	if out, err := p.master.ctl("failover", name); err != nil {
		t.Fatalf("lvsctl failover: %v: %s", err, out)
	}
	both := overlap(watches[0], watches[1])
	t.Logf("both held the VIP for %s", both)
	if both > 1100*time.Millisecond {
		t.Errorf("both held the VIP for %s: %v and %v", both, watches[0].periods(), watches[1].periods())
	}
	lab.Eventually(t, soon, func() error { return p.backup.stateIs("MASTER") })
}

// TestHandoverWithoutAnnouncements: a director that hears the first advert of its successor, and no announcement, keeps the VIP
// for a second.
//
// Proves docs/failover.md: "its announcement of each VIP by gratuitous ARP (IPv6: a neighbour advertisement), at most 1 s after
// its first advert"
func TestHandoverWithoutAnnouncements(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "400ms"})
	c.answering()
	c.startAll()
	watch, mark := c.master.watchVIP(), c.master.daemon.Mark()
	c.master.daemon.Signal(syscall.SIGTERM)
	mark.WaitLog("handing over before the stop", soon) // the other director has shown by ARP that it is there
	c.master.Link("eth0").Drop(lab.ToHost, "arp")
	taken := loggedAt(t, mark.WaitLog("from=MASTER to=BACKUP", soon))
	keptForASecond(t, watch, taken)
	c.master.daemon.Wait(soon)
	c.awaitHolder(c.backup, soon)
}

// awaitWarm waits until a director has learned the connections of the MASTER: until then it does not preempt, and takes over from no
// MASTER that hands over.
func (n *node) awaitWarm() {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if s := n.status().ConnectionSync; s == nil || !s.Warm {
			return fmt.Errorf("%s is not warm: %+v", n.Name, s)
		}
		return nil
	})
}

// TestForgottenHandover: a director that stays out for long after a handover by command reports that, until it is released.
//
// Proves docs/failover.md: "A director that still stays out after 15 minutes reports `handover_forgotten`, and `lvsctl status
// --check` is WARNING."
func TestForgottenHandover(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	c := newPairOf6(t, time.Second)
	c.master.start()
	awaitHolder6(c, c.master)
	c.backup.start()
	c.backup.daemon.WaitLog("received the first advert", soon)
	if out, err := c.master.ctl("failover", "six"); err != nil {
		t.Fatalf("lvsctl failover: %v: %s", err, out)
	}
	begun := time.Now()
	if out, err := c.master.ctl("status", "--check"); err != nil {
		t.Errorf("just after it: %v: %s", err, out)
	}
	lab.Eventually(t, 16*time.Minute, func() error {
		time.Sleep(10 * time.Second)
		if out, err := c.master.ctl("status", "--check"); lab.ExitCode(err) != 1 || !strings.Contains(out, "lvsctl failover six --release") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	if took := time.Since(begun); took < 14*time.Minute {
		t.Errorf("reported after %s", took)
	}
	if out, err := c.master.ctl("failover", "six", "--release"); err != nil {
		t.Fatalf("lvsctl failover --release: %v: %s", err, out)
	}
	awaitHolder6(c, c.master)
	lab.Eventually(t, soon, func() error {
		_, err := c.master.ctl("status", "--check")
		return err
	})
}
