package director

import (
	"errors"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
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

// TestRecordsOfManyInstances: the records of all instances together are bounded, those of one are as long as ever, and each has at
// least 64 events. The memory limit grows with the instances.
func TestRecordsOfManyInstances(t *testing.T) {
	limit := func(n int) int64 { return memoryLimit(&config.Config{Instances: make([]config.Instance, n)}) }
	for _, n := range []int{1, 2, 32, 33, 64, 255} {
		kept := recordedOf(n)
		if n*kept > recordedEvents || kept < 64 || kept > election.MaxRecorded {
			t.Errorf("%d instances: %d events are kept of each", n, kept)
		}
		if more := limit(n) - limit(1); more != int64(n-1)*memoryPerInstance {
			t.Errorf("the limit of %d instances is %d bytes above that of one", n, more)
		}
	}
	if recordedOf(1) != election.MaxRecorded {
		t.Errorf("%d events are kept of the only instance", recordedOf(1))
	}
}
