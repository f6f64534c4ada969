package task

import "sync"

// Published is a value that one goroutine replaces and others wait for. A published value must not be modified. The
// zero value contains the zero T.
type Published[T any] struct {
	mu      sync.Mutex // guards the fields below
	value   T
	changed chan struct{}
}

// Set replaces the value and wakes all waiters.
func (p *Published[T]) Set(value T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = value
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// Replace replaces the value without waking anybody: it differs in nothing that is waited for. A waiter of an earlier
// Get keeps waiting.
func (p *Published[T]) Replace(value T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = value
}

// Get returns the value, and a channel that is closed when the value is replaced.
func (p *Published[T]) Get() (value T, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.value, p.changed
}

// Load returns the value.
func (p *Published[T]) Load() T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value
}
