package checker

import (
	"container/heap"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// check is one identity at work. Only Run's goroutine touches it.
type check struct {
	id     plan.CheckID
	beside *check // another one of the same target; see checks
	number uint64 // in the order in which checks were made
	state  health.State
	users  []*subject // who shares it

	retired  bool // nobody wants it; it stays while its probe runs, so that no second one starts
	queued   bool
	due      time.Time     // of the next probe
	sooner   time.Duration // by which the second one comes before its time, once; less than half an interval
	owed     bool          // it was due while its probe ran: the next one starts when that one ends
	attempt  *attempt      // the probe that is running; nil: none. There is never a second one
	answered bool          // there was a result since this check was set, or as many as it takes to decide
	warned   health.Result
}

// attempt is one run of a probe.
type attempt struct {
	check     *check
	started   time.Time
	holds     bool          // a slot of the cap
	abandoned bool          // its time is over, and its check has been given a time-out in its place
	stalled   time.Duration // the longest time that the whole process stood still during the attempt
	reprieved bool          // it got more time for that
	asking    atomic.Bool   // the secret is read, the server is being asked; set by the probe's goroutine
}

// names are the subjects that share the check, for logs.
func (c *check) names() string {
	names := make([]string, len(c.users))
	for i, u := range c.users {
		names[i] = u.spec.Subject.String()
	}
	return strings.Join(names, ",")
}

// next moves the due time to the first one after now, in the rhythm that it has: intervals run from start to start,
// and after a stall nothing is made up for.
func (c *check) next(now time.Time) {
	late := now.Sub(c.due)
	c.due = c.due.Add((late/c.id.Check.Interval+1)*c.id.Check.Interval - c.sooner)
	c.sooner = 0
}

// event is something that is to happen at a time.
type event struct {
	at   time.Time
	what eventKind
	// check for a due event, attempt for the others; an event whose subject has moved on is void.
	check   *check
	attempt *attempt
}

type eventKind uint8

const (
	due     eventKind = iota // the next probe of a check
	yields                   // a probe that waits for the network gives its slot to others
	overdue                  // a probe should have ended by now
)

// agenda is a heap of events, the earliest first.
type agenda []event

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(event)) }

func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	old[len(old)-1] = event{} // lets go of the check
	*a = old[:len(old)-1]
	return last
}

func (a *agenda) add(e event) { heap.Push(a, e) }

// take removes the earliest event that is due at now.
func (a *agenda) take(now time.Time) (event, bool) {
	if len(*a) == 0 || (*a)[0].at.After(now) {
		return event{}, false
	}
	return heap.Pop(a).(event), true
}
