package logtest

import (
	"bytes"
	"strings"
	"sync"
)

// Buffer is a writer that keeps its content. The zero value is empty. It is safe for concurrent use.
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

// String returns the content.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Count returns the number of occurrences of text.
func (b *Buffer) Count(text string) int { return strings.Count(b.String(), text) }
