package logtest

import (
	"bytes"
	"strings"
	"sync"
)

// Buffer holds what was written. The zero value is empty; any goroutine may use it.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Count is how often text was written.
func (b *Buffer) Count(text string) int { return strings.Count(b.String(), text) }
