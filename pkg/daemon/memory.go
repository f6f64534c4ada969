package daemon

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// settledAfter is how long after a start or a reload its garbage is given back to the kernel: the first results of the
	// checks are there by then.
	settledAfter = 5 * time.Second
	// settledPercent and settledGarbage are how much garbage may be left then: that share of the memory in use (GOGC), or that
	// many bytes if they are more, because with a small heap a share alone makes the runtime collect garbage all the time. A
	// start or a large reload makes several times as much garbage as it leaves in use, and is faster with the runtime's 100.
	// Afterwards there is little of it: a director with 4 000 checks a minute makes less than 1 MB a second.
	settledPercent = 20
	settledGarbage = 2 << 20
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
	debug.FreeOSMemory()
	inUse := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(inUse)
	collect(settled(inUse[0].Value.Uint64()))
}

// settled returns the percentage for a number of bytes in use.
func settled(inUse uint64) int {
	if inUse <= settledGarbage {
		return usualPercent
	}
	return max(settledPercent, int(settledGarbage*100/inUse))
}

// collect sets how much garbage may be left, unless the administrator has decided (GOGC in the environment).
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
