package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// passwordFile writes a password file.
func passwordFile(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "vrrp.password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// withPassword are the keys of an instance with a password.
func withPassword(file string) string {
	return "auth_type: pass\n    auth_password_file: " + file
}

// TestPassword: a pair of one lvs-director and one keepalived 2.2.7, both with a password. Each obeys the other and takes
// over when it stops. The password is in no output of ours.
//
// Proves docs/operations.md: "With `protocol_version: 2`, adverts can carry a password, as with keepalived's `auth_type
// PASS`:"
func TestPassword(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	long := lab.HasLongForm(t)
	r := timing{2, time.Second}
	c := newCluster(t, shape{version: r.version, advert: r.advert.String(), instance: withPassword(passwordFile(t, "secret")), more: resignsAtOnce})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	segment := c.segment()
	cycles := 1
	if long {
		cycles = interopCycles()
	}
	for range cycles {
		secretKeepalived(c.master, 150, vip)
		c.awaitHolder(c.master, soon)
		if c.backup.daemon == nil {
			c.backup.start()
			c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
			lab.Consistently(t, r.masterDown()+r.advert, func() error { return c.heldOnlyBy(c.master) })
		}
		healthy(t, c.backup)
		c.master.daemon.Stop() // resigns
		c.awaitHolder(c.backup, r.skew()+takeoverAllowance)
	}
	for n := 0; long && n < cycles; n++ {
		c.oursIsMaster(r)
	}
	packets := capture.Matching(segment.Stop(), "VRRP")
	if ours := capture.Matching(packets, `10\.77\.0\.3 > 224\.0\.0\.18: .* authtype simple`); len(ours) == 0 || len(capture.Matching(packets, "authtype simple")) != len(packets) {
		t.Errorf("%d of %d adverts have a password, %d are ours", len(capture.Matching(packets, "authtype simple")), len(packets), len(ours))
	}
	c.backup.keeps("secret")
}

// oursIsMaster lets a keepalived with a password and a low priority take over from lvs-backup, and back.
func (c *cluster) oursIsMaster(r timing) {
	c.t.Helper()
	secretKeepalived(c.master, 50, vip)
	c.master.daemon.WaitLog("Entering BACKUP STATE", soon)
	lab.Consistently(c.t, r.masterDown()+r.advert, func() error { return c.heldOnlyBy(c.backup) })
	healthy(c.t, c.backup)
	c.backup.daemon.Stop()
	c.awaitHolder(c.master, r.masterDown()+takeoverAllowance)
	c.backup.start()
	c.awaitHolder(c.backup, soon) // preempts
	c.master.daemon.WaitLog(`Master received advert from 10\.77\.0\.3 with higher priority`, soon)
	c.master.daemon.Stop()
}

// keeps checks that a text is in nothing that the daemon writes or answers.
func (n *node) keeps(secret string) {
	n.t.Helper()
	outputs := map[string]string{"its log": n.daemon.Log()}
	for _, command := range []string{"status", "status -o json", "status -o yaml", "status --check", "events", "events -o json", "vrrp record"} {
		out, _ := n.ctl(strings.Fields(command)...)
		if len(out) < 10 {
			n.t.Errorf("lvsctl %s prints %q", command, out)
		}
		outputs["lvsctl "+command] = out
	}
	err := filepath.WalkDir(n.Path("state"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		outputs[path] = string(content)
		return err
	})
	if err != nil {
		n.t.Error(err)
	}
	for what, text := range outputs {
		if at := strings.Index(text, secret); at >= 0 {
			n.t.Errorf("%s contains the password: …%s…", what, text[max(0, at-100):min(len(text), at+100)])
		}
	}
}

// TestWrongPassword: two directors whose passwords differ never hold the VIP together, and the one that hears the other
// reports it. A reload gives both the same password, without an election.
//
// Proves docs/operations.md: "The file is read at the start and at each reload, which changes the password without an
// election."
// Proves docs/operations.md: "An unusable file makes a reload fail, and nothing changes. At a start the instance is in FAULT
// and sends nothing, until a reload finds a usable file:"
func TestWrongPassword(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Release(t)
	r := timing{2, time.Second}
	file := passwordFile(t, "first-pw")
	c := newCluster(t, shape{version: r.version, advert: r.advert.String(), instance: withPassword(file)})
	c.answering()
	c.startAll()
	wrong := func(n *node) string {
		return n.Address().String() + " sends VRRPv2 adverts with another password for virtual router 51: "
	}
	write := func(text string, mode os.FileMode) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(n *node) {
		if out, err := n.ctl("reload"); err != nil {
			t.Fatalf("%s: %v %s", n.Name, err, out)
		}
	}
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}

	write("second-p", 0o600)
	reload(c.backup)
	c.backup.awaitCheck(2, wrong(c.master))
	lab.Consistently(t, r.masterDown()+r.advert, func() error { return c.heldOnlyBy(c.master) })
	c.master.daemon.Stop()
	c.awaitHolder(c.backup, soon)
	write("first-pw", 0o600)
	c.master.start()
	c.master.awaitCheck(2, wrong(c.backup))
	lab.Consistently(t, r.masterDown()+r.advert, func() error { return c.heldOnlyBy(c.backup) })
	reload(c.backup)
	c.awaitHolder(c.master, soon)
	healthy(t, c.master, c.backup)

	// On a pair, the BACKUP first.
	write("third-pw", 0o640)
	since := c.master.status().Instances[0].Since
	reload(c.backup)
	reload(c.master)
	healthy(t, c.master, c.backup)
	if now := c.master.status().Instances[0]; now.State != "MASTER" || now.Since != since {
		t.Errorf("an election: %+v", now)
	}

	for _, n := range []*node{c.master, c.backup} {
		write("third-pw", 0o644)
		if out, err := n.ctl("reload"); err == nil || !strings.Contains(err.Error(), "vrrp_instances[0].auth_password_file: secret: "+file+" has mode 0644, so others can read or change it") {
			t.Errorf("%s: %v %s", n.Name, err, out)
		}
	}
	lab.Consistently(t, r.masterDown(), func() error { return c.heldOnlyBy(c.master) })
	c.backup.daemon.Stop()
	c.backup.start()
	c.backup.awaitCheck(2, "FAULT: secret: "+file+" has mode 0644")
	segment := c.segment()
	c.master.daemon.Stop()
	time.Sleep(r.masterDown() + r.advert)
	if sent := capture.Matching(segment.Stop(), `10\.77\.0\.3 > 224\.0\.0\.18`); len(sent) > 0 || c.backup.holds() {
		t.Errorf("a director without a password takes part in the election: %v", sent)
	}
	write("third-pw", 0o600)
	reload(c.backup)
	c.awaitHolder(c.backup, soon)
	if both := overlap(watches[0], watches[1]); both > 300*time.Millisecond {
		t.Errorf("both held the VIP for %s: %v and %v", both, watches[0].periods(), watches[1].periods())
	}
	for _, secret := range []string{"first-pw", "second-p", "third-pw"} {
		c.backup.keeps(secret)
	}
}
