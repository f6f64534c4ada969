package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
)

// TestUnitsCredential: a director under its unit reads a password that systemd passes it as a credential, and nobody else can. It
// keeps the old one over a reload, and has the new one after a restart.
//
// Proves docs/operations.md: "The credential `vrrp` of the unit is the file `/run/credentials/lvs-director.service/vrrp`."
func TestUnitsCredential(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Systemd)
	lab.Long(t)
	const source, credential = "/etc/lvs-director/vrrp.password", "/run/credentials/lvs-director.service/vrrp"
	c := newCluster(t, shape{version: 2, advert: "1s", instance: withPassword(credential)})
	s := c.master.underSystemd()
	write := func(password string) {
		s.WriteFile(systemd.File{Path: source, Content: password + "\n", Mode: 0o600})
	}
	expect := func(password string) { // as RFC 2338 has it, after the only address
		t.Helper()
		capture.Start(c.client, "eth0", fmt.Sprintf("ip proto 112 and ip[32:4] = 0x%x", password[:4])).Wait("authtype simple", soon)
	}
	write("first")
	out, err := s.Try("systemctl", "start", directorUnit)
	if journal := s.Journal(directorUnit); !strings.Contains(journal, credential+": ") {
		t.Errorf("without the credential the journal does not name the file: %v, %s\n%s", err, out, journal)
	}
	s.Systemctl("stop", directorUnit)
	s.WriteFile(systemd.File{Path: "/etc/systemd/system/" + directorUnit + ".d/secrets.conf", Content: "[Service]\nLoadCredential=vrrp:" + source + "\n"})
	s.Systemctl("daemon-reload")
	s.Systemctl("start", directorUnit)
	expect("first")
	if out := s.Run("stat", "-c", "%a %U", credential); !strings.HasPrefix(out, "400 root") {
		t.Errorf("the credential has %s", out)
	}
	write("second")
	s.Systemctl("reload", directorUnit)
	if got := s.ReadFile(credential); got != "first\n" {
		t.Errorf("after a reload the credential is %q", got)
	}
	s.Systemctl("restart", directorUnit)
	expect("second")
}

// resident checks that the kernel has locked the director's code.
func (u *unit) resident(t *testing.T) {
	lab.Eventually(t, soon, func() error {
		_, after, _ := strings.Cut(u.s.ReadFile(fmt.Sprintf("/proc/%d/status", u.s.MainPID(u.name))), "VmLck:")
		if kilobytes, err := strconv.Atoi(strings.Fields(after + " x")[0]); err != nil || kilobytes < 10_000 {
			return fmt.Errorf("%d kB are locked: %w\n%s", kilobytes, err, u.s.Journal(u.name))
		}
		return nil
	})
}
