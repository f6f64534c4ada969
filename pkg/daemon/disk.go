package daemon

import (
	"errors"
	"time"
)

// A disk is asked one thing at a time. Whoever asks waits for an answer as long as he says; a question that hangs goes on
// behind his back, and until it returns nobody else gets an answer.
type disk struct {
	busy chan struct{} // capacity 1
}

func newDisk() *disk { return &disk{make(chan struct{}, 1)} }

var errNoAnswer = errors.New("the disk does not answer")

// ask is f's answer, or errNoAnswer.
func ask[T any](d *disk, within time.Duration, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	none, answered, timer := *new(T), make(chan answer, 1), time.NewTimer(within)
	defer timer.Stop()
	select {
	case d.busy <- struct{}{}:
	case <-timer.C:
		return none, errNoAnswer
	}
	go func() {
		defer func() { <-d.busy }()
		value, err := f()
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-timer.C:
		return none, errNoAnswer
	}
}
