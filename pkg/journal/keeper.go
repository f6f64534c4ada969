package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// retryEvery is the interval of write attempts after a failure.
	retryEvery = time.Second
	// answerWithin is the number of these intervals after which a disk counts as not answering.
	answerWithin = 2
	// partWithin is how long a stopping daemon waits for the disk.
	partWithin = time.Second
)

var errNoAnswer = errors.New("the disk does not answer")

// Keeper reads the file at the start and writes every event to it. It implements task.Task. Disk operations run outside
// its loop, one at a time, so that a hanging disk does not stall the loop.
type Keeper struct {
	journal *Journal
	queue   *Subscription
	ready   task.Latch
	problem task.Published[string]

	// Owned by Run.
	answer  chan error // result of the running disk operation; nil: none is running
	waited  int        // intervals waited for it
	failing bool

	// Owned by the running disk operation, else by Run.
	file    file
	unsaved []event.Event
}

// Name implements task.Task.
func (k *Keeper) Name() string { return "the keeper of the journal" }

// Ready is closed when the events of earlier runs have been read or could not be read.
func (k *Keeper) Ready() <-chan struct{} { return k.ready.Ready() }

// Problem returns why events cannot be written to the file; "" if they can.
func (k *Keeper) Problem() string { return k.problem.Load() }

// Run reads and writes the file until ctx ends. It returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	tick := heartbeat.NewTicker(retryEvery)
	defer tick.Stop()
	defer k.queue.Close()
	k.ask(k.load)
	for {
		heart.Beat()
		wake := k.queue.Wake()
		if k.answer != nil || k.failing {
			wake = nil
		}
		select {
		case <-ctx.Done():
			k.part()
			return nil
		case err := <-k.answer:
			k.take(err)
			if err == nil && k.waiting() {
				k.ask(k.save)
			}
		case <-wake:
			k.ask(k.save)
		case <-tick.C:
			k.tick()
		}
	}
}

// ask starts a disk operation.
func (k *Keeper) ask(f func() error) {
	answer := make(chan error, 1)
	k.answer, k.waited = answer, 0
	go func() { answer <- f() }()
}

func (k *Keeper) take(err error) {
	k.answer, k.failing = nil, err != nil
	k.ready.Close()
	text := ""
	if err != nil {
		text = fmt.Sprintf("events are not saved in %s: %v", Path(k.file.dir), err)
	}
	k.setProblem(text)
}

func (k *Keeper) tick() {
	switch {
	case k.answer == nil && k.failing:
		k.ask(k.save)
	case k.answer != nil:
		if k.waited++; k.waited >= answerWithin {
			k.ready.Close()
			k.setProblem(fmt.Sprintf("events are not saved in %s: %v", Path(k.file.dir), errNoAnswer))
		}
	}
}

func (k *Keeper) setProblem(problem string) {
	if problem != k.problem.Load() {
		k.problem.Set(problem)
	}
}

// waiting reports whether there are events to save.
func (k *Keeper) waiting() bool {
	k.queue.mu.Lock()
	defer k.queue.mu.Unlock()
	return len(k.unsaved)+len(k.queue.events)+k.queue.lost > 0
}

// load reads the events of earlier runs into memory. An unreadable file is not a problem until it cannot be written.
func (k *Keeper) load() error {
	if earlier, err := k.file.read(); err == nil {
		k.journal.restore(earlier)
	}
	return nil
}

// save writes the events left over from a failure and then the queued events.
func (k *Keeper) save() error {
	if len(k.unsaved) == 0 {
		events, lost := k.queue.Take()
		if lost > 0 {
			events = append(events, event.Lost(time.Now(), lost, "they did not reach the disk in time"))
		}
		k.unsaved = events
	}
	n, err := k.file.append(k.unsaved)
	k.unsaved = k.unsaved[n:]
	if len(k.unsaved) == 0 {
		k.unsaved = nil
	}
	return err
}

// part writes the remaining events, for at most partWithin.
func (k *Keeper) part() {
	late := time.NewTimer(partWithin)
	defer late.Stop()
	for range 3 { // the running operation, the remaining queue, the rest after a failure
		if k.answer == nil {
			if !k.waiting() {
				return
			}
			k.ask(k.save)
		}
		select {
		case err := <-k.answer:
			k.take(err)
		case <-late.C:
			return
		}
	}
}
