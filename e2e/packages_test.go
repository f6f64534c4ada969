package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
)

// TestPackage: the commands of docs/packages.md, with real dpkg and systemd, take a director from a fresh root to a working VIP,
// upgrade it while clients are connected, and remove it. The upgrade costs no connection and no advert, and changes no
// configuration; after the removal the kernel is as it was, and after the purge the files are, too.
//
// Proves docs/packages.md: "An upgrade interrupts nothing: the daemons go on as the version that they were started as, and the
// package says so."
// Proves docs/packages.md: "It stops and disables both daemons, which give back their VIPs, virtual servers and sysctls"
// Proves docs/packages.md: "This removes them, too, and the groups `lvs-director` and `lvs-admin`: nothing is left"
func TestPackage(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Systemd)
	lab.Exclusive(t) // dpkg writes to /usr of the guest
	lab.Long(t)
	page := readPage(t, "../docs/packages.md")
	c := newCluster(t, shape{advert: "300ms"})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.awaitAgent(c.mysql1)
	c.awaitAgent(c.mysql2)
	p := &packaged{t: t, c: c, s: c.master.underDpkg()}
	p.s.Run("modprobe", "--all", "ip_vs_lblc", "ip_vs_lblcr") // they have sysctls, and the package has them loaded
	kernel, files := hostState(c.master.Host), p.files()

	install := page.blocks("Install")
	p.run(install[0], "0.0.1") // dpkg -i, and the example
	if out, err := p.s.Try("systemctl", "is-enabled", directorUnit); strings.TrimSpace(out) != "disabled" {
		t.Errorf("after the installation the unit is %q: %v", out, err)
	}
	content, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	p.s.WriteFile(clusterFile(string(content)))
	p.run(install[1], "0.0.1") // lvsctl check
	p.run(install[3], "0.0.1") // modules, systemctl enable --now
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, rs1, rs2)
	c.backup.start()
	c.awaitTable(c.backup, rs1, rs2)
	p.s.Run("lvsctl", "live")
	p.s.Run("lvsctl", "ready")

	p.upgrade(page.blocks("Upgrade")[0])
	p.s.Systemctl("restart", directorUnit)
	p.runs("0.0.2")
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, rs1, rs2)

	remove := page.blocks("Remove")
	p.intact()
	owned := strings.Fields(p.s.Run("dpkg", "-L", "lvs-director"))
	p.run(remove[0], "")
	c.awaitHolder(c.backup, soon)
	assertRestored(t, c.master.Host, kernel)
	if got := p.s.ReadFile("/etc/lvs-director/cluster.yaml"); got != string(content) {
		t.Errorf("the removal changed the cluster file:\n%s", got)
	}
	p.run(remove[1], "")
	p.gone(owned, files)
}

// packaged is a director whose package is under test.
type packaged struct {
	t *testing.T
	c *cluster
	s *systemd.Instance
}

// underDpkg boots a systemd on the node with an empty database of dpkg, and the packages in /usr/local/VERSION.
func (n *node) underDpkg() *systemd.Instance {
	n.t.Helper()
	o := systemd.Options{Programs: map[string]string{}, Files: []systemd.File{
		{Path: "/var/lib/dpkg/status"}, {Path: "/etc/modules-load.d/.keep"},
	}}
	for _, version := range []string{"0.0.1", "0.0.2"} {
		built, err := filepath.Glob(filepath.Join(filepath.Dir(program(n.t, "lvsctl")), "packages/lab/lvs-director_"+version+"-1_*.deb"))
		if err != nil || len(built) != 1 {
			n.t.Fatalf("packages of version %s: %v, %v: build them first (make lab-packages)", version, built, err)
		}
		o.Programs["/usr/local/"+version+"/"+filepath.Base(built[0])] = built[0]
	}
	s := systemd.Start(n.Host, o)
	s.Run("mkdir", "/var/lib/dpkg/info", "/var/lib/dpkg/updates")
	return s
}

// run runs a block of commands in the directory of a version's package, "" for any.
func (p *packaged) run(block, version string) string {
	p.t.Helper()
	return p.s.Run("sh", "-ec", "cd /usr/local/"+version+"\n"+block)
}

// files lists what is in the directories that are the node's own, and the links and units of the product.
func (p *packaged) files() string {
	p.t.Helper()
	return p.s.Run("sh", "-ec", "find /etc /run /var -xdev -not -path '/var/lib/dpkg/*' -not -path '/run/systemd/*' -not -path '/run/log/*' "+
		"-not -path '/etc/g*shadow*' -not -path '/etc/group-' -not -path /etc/.pwd.lock -not -path '/var/log/*' -not -path '/var/lib/systemd/*' -not -path '/var/tmp/*' | sort; systemctl list-unit-files --no-legend 'lvs-*' || true; cut -d: -f1 /etc/group")
}

// upgrade installs the second version while clients are connected.
func (p *packaged) upgrade(block string) {
	p.t.Helper()
	pid, content := p.s.MainPID(directorUnit), p.s.ReadFile("/etc/lvs-director/cluster.yaml")
	held := measure.OpenConnections(p.c.client, vipPort, 10)
	client := measure.Start(p.c.client, vipPort, measure.Options{Every: 50 * time.Millisecond})
	client.WaitAnswered("", soon)
	adverts := capture.Start(p.c.client, "eth0", lab.VRRP)
	said := p.run(block, "0.0.2")
	adverts.Wait("10.77.0.2 > ", soon)
	packets, r := adverts.Stop(), client.Stop()

	if !strings.Contains(said, "systemctl restart lvs-director") {
		p.t.Errorf("the upgrade does not say what to do:\n%s", said)
	}
	if now := p.s.MainPID(directorUnit); now != pid {
		p.t.Errorf("process %d, before the upgrade %d", now, pid)
	}
	if foreign := len(packets) - len(capture.Matching(packets, `10\.77\.0\.2 > `)); foreign > 0 {
		p.t.Errorf("%d adverts of another director during the upgrade", foreign)
	}
	for n := 1; n < len(packets); n++ { // the other director takes over after 3.6 intervals
		if gap := packets[n].Time.Sub(packets[n-1].Time); gap > 900*time.Millisecond {
			p.t.Errorf("%s without an advert during the upgrade", gap)
		}
	}
	if r.Failed() > 0 {
		p.t.Errorf("connections failed during the upgrade: %s", r)
	}
	aliveAll(p.t, "the upgrade", 10, held)
	held.Close()
	if got := p.s.ReadFile("/etc/lvs-director/cluster.yaml"); got != content {
		p.t.Errorf("the upgrade changed the cluster file:\n%s", got)
	}
	if got := strings.TrimSpace(p.s.Run("lvsctl", "version")); got != "0.0.2" {
		p.t.Errorf("installed: %s", got)
	}
	p.runs("0.0.1")
}

// runs asks which version runs.
func (p *packaged) runs(version string) {
	p.t.Helper()
	lab.Eventually(p.t, soon, func() error {
		if out, err := p.s.Try("lvsctl", "status"); !strings.Contains(out, "version "+version+",") {
			return fmt.Errorf("want version %s: %v: %s", version, err, out)
		}
		return nil
	})
}

// intact: the installed files are those of the package.
func (p *packaged) intact() {
	p.t.Helper()
	if out, err := p.s.Try("dpkg", "--verify", "lvs-director"); out != "" || err != nil {
		p.t.Errorf("dpkg --verify: %v\n%s", err, out)
	}
}

// gone: no file that the package owned exists, no directory of its own, and the other files are those from before.
func (p *packaged) gone(owned []string, before string) {
	p.t.Helper()
	for _, path := range owned {
		kind, err := p.s.Try("stat", "-c", "%F", path)
		if err == nil && (strings.TrimSpace(kind) != "directory" || strings.Contains(path, "lvs-director")) {
			p.t.Errorf("after the purge there is still %s", p.s.Run("find", path))
		}
	}
	if after := p.files(); after != before {
		p.t.Errorf("before the installation\n%safter the purge\n%s", before, after)
	}
}
