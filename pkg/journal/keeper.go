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
	// retryEvery is the pause after which a file that could not be written is tried again.
	retryEvery = time.Second
	// answerWithin is how many of these pauses the disk may take before the status says that it does not answer.
	answerWithin = 2
	// partWithin is how long the end waits for the disk.
	partWithin = time.Second
)

var errNoAnswer = errors.New("the disk does not answer")

// Keeper reads the file at the start, and writes every event to it. It implements task.Task. What it asks of the disk
// goes on apart from its loop, one thing at a time, so that a disk that hangs does not make the loop stand still.
type Keeper struct {
	journal *Journal
	queue   *Subscription
	ready   task.Latch
	problem task.Published[string]

	// Owned by Run.
	answer  chan error // of what the disk does; nil: nothing
	waited  int        // pauses for it
	failing bool

	// Owned by what the disk does, else by Run.
	file    file
	unsaved []event.Event
}

// Name implements task.Task.
func (k *Keeper) Name() string { return "the keeper of the journal" }

// Ready is closed when the events of the run before are there, or could not be read.
func (k *Keeper) Ready() <-chan struct{} { return k.ready.Ready() }

// Problem says why events are not in the file, as a sentence; "" when they are.
func (k *Keeper) Problem() string { return k.problem.Load() }

// Run keeps the file until ctx ends. It returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	tick := time.NewTicker(retryEvery)
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

// ask has the disk do something.
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
	k.say(text)
}

func (k *Keeper) tick() {
	switch {
	case k.answer == nil && k.failing:
		k.ask(k.save)
	case k.answer != nil:
		if k.waited++; k.waited >= answerWithin {
			k.ready.Close()
			k.say(fmt.Sprintf("events are not saved in %s: %v", Path(k.file.dir), errNoAnswer))
		}
	}
}

func (k *Keeper) say(problem string) {
	if problem != k.problem.Load() {
		k.problem.Set(problem)
	}
}

// waiting says whether there is something to save.
func (k *Keeper) waiting() bool {
	k.queue.mu.Lock()
	defer k.queue.mu.Unlock()
	return len(k.unsaved)+len(k.queue.events)+k.queue.lost > 0
}

// load takes the events of earlier runs into memory. A file that cannot be read is no problem before it cannot be written.
func (k *Keeper) load() error {
	if earlier, err := k.file.read(); err == nil {
		k.journal.restore(earlier)
	}
	return nil
}

// save writes what is queued, after what could not be written before.
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

// part writes what is left, for as long as the end of the daemon may wait for it.
func (k *Keeper) part() {
	late := time.NewTimer(partWithin)
	defer late.Stop()
	for range 3 { // what is being done, what it left in the queue, what a failure left of it
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
