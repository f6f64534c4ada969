package daemon

import (
	"errors"
	"time"
)

// A disk is asked one thing at a time. Whoever asks waits for an answer as long as he says; a question that hangs goes on
// behind his back, and until it returns nobody else gets an answer.
type disk struct {
	free chan struct{} // has an element while nobody asks
}

func newDisk() *disk {
	d := &disk{make(chan struct{}, 1)}
	d.free <- struct{}{}
	return d
}

var errNoAnswer = errors.New("the disk does not answer")

// steps are the parts of a wait. A ticker drops the ticks that nobody takes, so that a time in which this process itself
// stood still counts for one part at most: the disk is not to blame for it.
const steps = 10

// ask is f's answer, or errNoAnswer.
func ask[T any](d *disk, within time.Duration, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answered, tick, left := make(chan answer, 1), time.NewTicker(within/steps), steps
	defer tick.Stop()
	for free := d.free; ; {
		select {
		case <-free:
			free = nil // one question is enough
			go func() {
				defer func() { d.free <- struct{}{} }()
				value, err := f()
				answered <- answer{value, err}
			}()
		case a := <-answered:
			return a.value, a.err
		case <-tick.C:
			if left--; left == 0 {
				return *new(T), errNoAnswer
			}
		}
	}
}
