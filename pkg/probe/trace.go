package probe

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Trace collects what a probe does, for an operator. It may be used by several goroutines.
type Trace struct {
	start time.Time

	mu    sync.Mutex
	lines []string
}

// maxTrace is how many lines are kept.
const maxTrace = 500

// NewTrace returns a Trace whose lines begin with the time since now.
func NewTrace() *Trace { return &Trace{start: time.Now()} }

// Lines returns the lines so far, in milliseconds since the start: "   1.2 ms  connected to 10.77.0.11:80".
func (t *Trace) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// Add adds a line. A nil Trace ignores it.
func (t *Trace) Add(format string, args ...any) {
	if t == nil {
		return
	}
	since := time.Since(t.start)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < maxTrace {
		t.lines = append(t.lines, fmt.Sprintf("%6.1f ms  ", float64(since)/float64(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}
