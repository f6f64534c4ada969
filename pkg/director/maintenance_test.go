package director

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// drainFile adds or removes a file in maintenance_dir.
func (m *machine) drainFile(name string, there bool) {
	m.mu.Lock()
	if m.tracked.files == nil {
		m.tracked.files = map[string]string{}
	}
	if m.tracked.files["/m/"+name] = ""; !there {
		delete(m.tracked.files, "/m/"+name)
	}
	m.mu.Unlock()
	m.pass(1500 * time.Millisecond)
}

func withMaintenance(text string) string { return text + "maintenance_dir: /m\n" }

// TestMaintenanceDir: a file drains the servers with its name or address as long as it is there, from the start on and
// whatever is decided; enable says so.
func TestMaintenanceDir(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.drainFile("mysql1", true)
		m.begin(withMaintenance(weighing(3, 1)))
		m.pass(500 * time.Millisecond)
		if got := m.entry(one); got != "0" && got != "-" {
			t.Errorf("at the start it has the weight %s", got)
		}
		m.pass(10 * time.Second)
		m.expectEntry("drained by a file", "-", "disabled")
		m.happened()
		if err := m.override(as(override.Enable)); !strings.HasSuffix(err, "mysql/mysql1 is drained by the file /m/mysql1: remove it") {
			t.Errorf("%q", err)
		}
		m.expectEntry("enabled", "-", "disabled")
		if r := m.Status().VirtualServers[0].RealServers[0]; !strings.Contains(r.Reason, "by the file /m/mysql1 since ") {
			t.Errorf("%+v", r)
		}
		m.drainFile("mysql1", false)
		m.expectEntry("the file is gone", "3", "up")
		m.expectEvents("the file is gone", "override_changed mysql1: drain ->")
		for _, name := range []string{one, one + ":3306"} {
			m.drainFile(name, true)
			m.expectEntry(name, "0", "draining")
			m.drainFile(name, false)
			m.expectEntry(name+" is gone", "3", "up")
		}
		m.drainFile("mysql3", true)
		m.expectEntry("of another server", "3", "up")
		if all := m.Status().Overrides; len(all) != 1 || !all[0].Unused || all[0].File != "/m/mysql3" {
			t.Errorf("%+v", all)
		}
		m.drainFile("mysql1", true)
		m.connected(one, 0)
		m.reload(weighing(3, 1))
		m.expectEntry("without maintenance_dir", "3", "up")
	})
}

func maintenanceCases() []codesCase {
	return []codesCase{{File: withMaintenance(codesFile), Case: problemtest.Case[*node]{
		Code:  problem.MaintenanceDirUnreadable,
		Break: func(n *node) { n.refuse("readdir", errors.New("no disk")) },
		Mend:  func(n *node) { n.refuse("readdir", nil) },
	}}}
}
