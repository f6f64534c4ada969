package director

import (
	"errors"
	"testing"
	"time"
)

// TestKeepResident: a director that cannot keep its program in memory says so once, and serves.
func TestKeepResident(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.refuse("mlock", errors.New("cannot allocate memory"))
		m.begin(openFile + "}\n")
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" || m.log.Count("cannot keep the program in memory") != 1 {
			t.Errorf("%s\n%s", m.state("a"), m.log.String())
		}
		_ = m.stop()
	})
}
