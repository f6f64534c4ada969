package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestDoctor: the packet filter of a real server drops the packets of clients. `lvsctl doctor` there names that with its
// code and the command that mends it, and so does a machine without a daemon from the bundle. The command is run as it is,
// and nothing is found any more. Settings of a director with which clients fail are found, and --fix ends them. The bundle
// of a director has its tables and its packets, and none of its secrets.
//
// Proves docs/operations.md: "`lvsctl doctor` says what is wrong on this machine, why it matters, and what mends it"
// Proves docs/operations.md: "`lvsctl doctor --fix`, as root, makes the settings that end findings and that are safe"
// Proves docs/operations.md: "Only their headers are recorded, without the passwords of adverts"
// Proves docs/operations.md: "It has no secrets: neither the cluster file nor any file that it names is in it"
func TestDoctor(t *testing.T) {
	lab.Need(t, lab.IPVS)
	const secret = "s3cretPW"
	c := newCluster(t, shape{version: 2, instance: withPassword(passwordFile(t, secret)), more: resignsAtOnce})
	c.answering()
	c.startAll()
	for _, n := range []*node{c.master, c.backup, c.mysql1, c.mysql2} {
		c.awaitDoctor(n, 0, "OK: 0 findings")
	}
	c.mysql1.Run("iptables", "-P", "INPUT", "DROP")
	out := c.awaitDoctor(c.mysql1, 2, "CRITICAL service_blocked ")
	bundle := c.bundle(c.mysql1, "0s")
	if out, err := c.client.Try(program(t, "lvsctl"), "doctor", "--bundle", bundle); lab.ExitCode(err) != 2 || !strings.Contains(out, "CRITICAL service_blocked (realserver mysql1") {
		t.Errorf("from the bundle: exit code %d\n%s", lab.ExitCode(err), out)
	}
	mend := regexp.MustCompile(`To do: (iptables\S* .*ACCEPT) \(and`).FindStringSubmatch(out)
	if mend == nil {
		t.Fatalf("no command mends it:\n%s", out)
	}
	c.mysql1.Run(strings.Fields(mend[1])...)
	c.mysql1.Run("iptables", "-A", "INPUT", "-s", "10.77.0.0/28", "-j", "ACCEPT") // the checks
	c.awaitDoctor(c.mysql1, 0, "OK: 0 findings")

	c.master.Sysctl("net.ipv4.vs.drop_entry", "3")
	c.awaitDoctor(c.master, 1, "WARNING entries_dropped ")
	c.fixes(c.master, "net.ipv4.vs.drop_packet", "3", "clients_blocked")
	if now := c.master.SysctlValue("net.ipv4.vs.drop_entry"); now != "0" {
		t.Errorf("net.ipv4.vs.drop_entry is still %s", now)
	}
	c.fixes(c.master, "net.ipv4.conf.eth0.arp_ignore", "8", "vip_not_reached")

	bundle = c.bundle(c.master, "4s") // longer than a BACKUP waits for an advert before it sends some
	content := c.master.Run("tar", "-xzOf", bundle)
	for _, want := range []string{`"role": "director"`, "TCP  " + vipPort, "net.ipv4.vs.", `"kind":"instance_state"`, "inet 10.77.0.2/24", "# instance mysql"} {
		if !strings.Contains(content, want) {
			t.Errorf("%q is not in the bundle of lvs-master", want)
		}
	}
	if strings.Contains(content, secret) {
		t.Error("the bundle has the password of the adverts")
	}
	packets := c.master.Run("sh", "-c", "tar -xzOf "+bundle+" packets.pcap | tcpdump -Z root -nr -")
	if !strings.Contains(packets, "VRRPv2, Advertisement, vrid 51") || !strings.Contains(packets, "10.77.0.2.") {
		t.Errorf("the bundle has no adverts, or no checks:\n%s", packets)
	}
	c.master.daemon.Kill()
	c.awaitDoctor(c.master, 3, "UNKNOWN: ")
}

// fixes makes a setting with which clients fail; `lvsctl doctor` finds that, and with --fix ends it.
func (c *cluster) fixes(n *node, key, value, code string) {
	c.t.Helper()
	n.Sysctl(key, value)
	c.awaitDoctor(n, 2, "CRITICAL "+code+" ")
	out, err := n.ctl("doctor", "--fix")
	if want := "FIXED " + code + " (director " + n.Name + "): " + key + " was " + value + ", is "; err != nil || !strings.Contains(out, want) || !strings.Contains(out, "OK: 0 findings") {
		c.t.Errorf("%v: want %q and no findings:\n%s", err, want, out)
	}
	if now := n.SysctlValue(key); now == value {
		c.t.Errorf("%s is still %s", key, now)
	}
}

// awaitDoctor waits until `lvsctl doctor` has an exit code and a text.
func (c *cluster) awaitDoctor(n *node, code int, text string) (out string) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		var err error
		if out, err = n.ctl("doctor"); lab.ExitCode(err) != code || !strings.Contains(out, text) {
			return fmt.Errorf("lvsctl doctor on %s: exit code %d, want %d, and %q in\n%s", n.Name, lab.ExitCode(err), code, text, out)
		}
		return nil
	})
	return out
}

// bundle makes a bundle with the packets of a time and returns its file.
func (c *cluster) bundle(n *node, recorded string) string {
	c.t.Helper()
	path := n.Path("bundle.tar.gz")
	if out, err := n.ctl("bundle", "--file", path, "--capture", recorded); err != nil {
		c.t.Fatalf("lvsctl bundle on %s: %v\n%s", n.Name, err, out)
	}
	return path
}
