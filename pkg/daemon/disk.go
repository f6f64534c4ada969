package daemon

import (
	"errors"
	"time"
)

// A disk runs one operation at a time. The caller waits for the result up to a limit. An operation that hangs continues
// in the background, and until it returns all other operations fail.
type disk struct {
	free chan struct{} // has an element while no operation is running
}

func newDisk() *disk {
	d := &disk{make(chan struct{}, 1)}
	d.free <- struct{}{}
	return d
}

var errNoAnswer = errors.New("the disk does not answer")

// steps is the number of ticks in a wait. A ticker drops ticks that are not received, so a stall of this process counts
// as one tick at most and is not attributed to the disk.
const steps = 10

// ask returns the result of f, or errNoAnswer.
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
			free = nil // start f only once
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
