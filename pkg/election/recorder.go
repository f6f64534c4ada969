package election

import (
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// recorded is how many events of an instance are remembered, some 60 bytes each. A BACKUP has one an advert interval.
const recorded = 512

// recorder remembers the last events of a machine and what they led to.
type recorder struct {
	mu    sync.Mutex // guards trace
	trace *vrrp.Trace
}

func (r *recorder) step(m *vrrp.Machine, now time.Duration, event vrrp.Event) []vrrp.Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trace.Step(m, now, event)
}

// Record is what the instance did last: up to 512 events with their actions, in the text form of vrrp.Trace, which a test
// replays. Any goroutine may ask, also while the actor hangs.
func (a *Actor) Record() string {
	a.recorder.mu.Lock()
	trace := a.recorder.trace.Clone()
	a.recorder.mu.Unlock()
	return trace.String()
}
