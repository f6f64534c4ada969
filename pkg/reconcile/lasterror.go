package reconcile

import "sync/atomic"

// lastError is why the last pass of a loop failed; the zero value says that it did not. It may be read by any goroutine.
type lastError struct{ p atomic.Pointer[string] }

// text returns the error, "" if there is none.
func (l *lastError) text() string {
	if p := l.p.Load(); p != nil {
		return *p
	}
	return ""
}

// set stores an error and returns its text, and whether it is another one than before.
func (l *lastError) set(err error) (text string, news bool) {
	text = err.Error()
	before := l.p.Swap(&text)
	return text, before == nil || *before != text
}

func (l *lastError) clear() { l.p.Store(nil) }
