package election

import (
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// MaxRecorded is how many events of an instance are kept at most, 80 to 110 bytes each. MASTER and BACKUP have one event per
// advert interval.
const MaxRecorded = 512

// recorder keeps the last events of a machine and the resulting actions.
type recorder struct {
	mu    sync.Mutex // guards trace
	trace *vrrp.Trace
}

func (r *recorder) step(m *vrrp.Machine, now time.Duration, event vrrp.Event) []vrrp.Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trace.Step(m, now, event)
}

// Record returns the last events of the instance, up to Options.Recorded, with their actions, in the text form of vrrp.Trace, which
// a test can replay. It may be called from any goroutine, even while the actor hangs.
func (a *Actor) Record() string {
	a.recorder.mu.Lock()
	trace := a.recorder.trace.Clone()
	a.recorder.mu.Unlock()
	return trace.String()
}
