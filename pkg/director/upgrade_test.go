package director

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// TestUpgrade: a daemon reads a state file of version 1 and cleans up what its predecessor left in the kernel: a
// service that is no longer in the cluster file is removed, a sysctl is restored.
func TestUpgrade(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		l, err := statefile.Open(m.dir) // for the identity of this kernel
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		path := filepath.Join(m.dir, "state.json")
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head, _, found := strings.Cut(strings.Replace(string(now), `"version": 2`, `"version": 1`, 1), "\n}")
		if !found || head == string(now) {
			t.Fatalf("the state file differs:\n%s", now)
		}
		old := head + `,
 "services": [{"protocol": "tcp", "address": "10.77.0.101", "port": "3306"}],
 "sysctls": [{"key": "net.ipv4.vs.expire_nodest_conn", "found": "0", "wrote": "1"}]
}
`
		if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
		file := electing + router("a", "eth0", 51, vip, also) + virtualServers + balancing("mysql", vip, "dr", one)
		m.services = parseTable(t, strings.Replace(file, "address: "+vip, "address: "+also, 1))
		m.sysctls["net/ipv4/vs/expire_nodest_conn"] = "1"
		m.start(file)
		if rules := m.table(); strings.Contains(rules, also) || !strings.Contains(rules, vip) {
			t.Errorf("in the table:\n%s\nlog:\n%s", rules, m.log.String())
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if value := m.sysctls["net/ipv4/vs/expire_nodest_conn"]; value != "0" {
			t.Errorf("the sysctl has %s at the end, and had 0 before the first of the two daemons", value)
		}
	})
}
