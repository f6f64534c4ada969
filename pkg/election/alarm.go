package election

import (
	"context"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Alarm has one timer for all instances that are BACKUP. Each advert of a MASTER postpones what its BACKUP waits for, so
// that a timer of each would expire a few times a second only to be set again: with 255 instances that was a fifth of a
// director's CPU time. An Alarm wakes an instance only if its time has really come. In every other state an instance
// has its own timer.
//
// It is a task.Task. It holds the lock of one instance at a time and never waits for one.
type Alarm struct {
	poke  chan struct{} // capacity 1
	ready task.Latch

	mu     sync.Mutex // guards actors and next
	actors map[*Actor]bool
	next   time.Time // when Run looks next; zero: it is looking
}

// busyFor is after what time the Alarm looks again at an instance that was locked. A whole heartbeat interval would be too long: the
// adverts of a MASTER may come at the moments at which the Alarm looks.
const busyFor = 20 * time.Millisecond

// NewAlarm returns an Alarm without instances.
func NewAlarm() *Alarm { return &Alarm{poke: make(chan struct{}, 1), actors: map[*Actor]bool{}} }

// Name implements task.Task.
func (l *Alarm) Name() string { return "the timer of the elections" }

// Ready is closed when the alarm is running.
func (l *Alarm) Ready() <-chan struct{} { return l.ready.Ready() }

// Run wakes instances until ctx ends.
func (l *Alarm) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.ready.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.poke:
		case <-timer.C:
		}
		heart.Beat()
		timer.Reset(l.look())
	}
}

// look looks after all instances, and returns for how long none needs it.
func (l *Alarm) look() time.Duration {
	l.mu.Lock()
	l.next = time.Time{}
	actors := make([]*Actor, 0, len(l.actors))
	for a := range l.actors {
		actors = append(actors, a)
	}
	l.mu.Unlock()
	wait, at := heartbeat.Early(time.Now(), heartbeat.Every), &moment{}
	for _, a := range actors {
		wait = min(wait, a.attend(at))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = time.Now().Add(wait)
	return wait
}

// set makes Run look after the instance until it ends, the first time within wait.
func (l *Alarm) set(a *Actor, wait time.Duration) {
	l.mu.Lock()
	l.actors[a] = true
	late := l.next.IsZero() || time.Now().Add(wait).Before(l.next)
	l.mu.Unlock()
	if late {
		select {
		case l.poke <- struct{}{}:
		default:
		}
	}
}

// remove ends that. A nil Alarm has no instances.
func (l *Alarm) remove(a *Actor) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.actors, a)
}

// idle reports whether the Alarm, instead of the timer of Run, looks after the instance. The lock is held.
func (a *Actor) idle() bool {
	return a.alarm != nil && a.machine.State() == vrrp.Backup && len(a.group.Load().members) == 1 && !a.machine.Retains()
}

// attend wakes Run if the time has come for which it waits, and otherwise does what it would do: a heartbeat, a snapshot.
// It returns for how long the instance does not need it again. It does not block. at is shared by the instances.
func (a *Actor) attend(at *moment) time.Duration {
	if !a.tryLock() {
		return busyFor // by Run, which sets its timer or the Alarm afterwards, or by an advert that is being taken in
	}
	defer a.unlock()
	if !a.watched {
		return heartbeat.Every
	}
	a.asleep = at.suspended(a) - a.slept
	wait := a.arm()
	if wait <= 0 || !a.idle() { // or it has joined a sync group
		a.inbox.rouse()
		return heartbeat.Every
	}
	a.heart.Beat()
	if !a.current() {
		a.publish()
	}
	return wait
}
