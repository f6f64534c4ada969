package task

import "sync"

// Published is a value that one goroutine replaces and others wait for. The value must not be changed once it is published.
// The zero value holds the zero T.
type Published[T any] struct {
	mu      sync.Mutex // guards what follows
	value   T
	changed chan struct{}
}

// Set replaces the value and wakes everybody who waits.
func (p *Published[T]) Set(value T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = value
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// Get returns the value, and a channel that is closed when there is another one.
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
