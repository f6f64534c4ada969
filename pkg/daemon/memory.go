package daemon

import (
	"os"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// settledAfter is how long after a start or a reload its garbage is given back to the kernel: the first results of the
	// checks are there by then.
	settledAfter = 5 * time.Second
	// settledPercent is how much garbage may be left then, in percent of the memory in use (GOGC). A start or a large reload
	// makes several times as much garbage as it leaves in use, and is faster with the runtime's 100. Afterwards there is little
	// of it: a director with 4 000 checks a minute makes less than 1 MB a second.
	settledPercent = 20
	usualPercent   = 100
)

// memory decides how much memory the daemon keeps beyond what is in use. The zero value is ready for use.
type memory struct {
	mu    sync.Mutex
	timer *time.Timer
}

// working says that a reload begins.
func (m *memory) working() { collect(usualPercent) }

// used says that a start or a reload has ended, in success or not.
func (m *memory) used() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer == nil {
		m.timer = time.AfterFunc(settledAfter, settle)
		return
	}
	m.timer.Reset(settledAfter)
}

func settle() {
	if collect(settledPercent) {
		debug.FreeOSMemory()
	}
}

// collect sets how much garbage may be left, unless the administrator has decided (GOGC in the environment).
func collect(percent int) bool {
	if os.Getenv("GOGC") != "" {
		return false
	}
	debug.SetGCPercent(percent)
	return true
}
