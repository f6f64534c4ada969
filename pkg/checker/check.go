package checker

import (
	"container/heap"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// check is the running check of one identity. Only Run's goroutine accesses it.
type check struct {
	id      plan.CheckID
	sibling *check // the next check of the same target; see checks
	number  uint64 // in the order in which checks were made
	state   health.State
	users   []*subject // the subjects that share it

	due     time.Time     // of the next probe
	advance time.Duration // by how much the second probe is early, once; less than half an interval
	attempt *attempt      // the running probe; nil: none. At most one runs
	history history
	warned  *warning // nil: none since the check could be made
	kept    *kept    // its connection; nil: none yet

	// Beside each other: there are thousands of checks, and each must fit into 448 bytes.
	retired  bool // no subject uses it; it stays while its probe runs, so that no second one starts
	queued   bool
	owed     bool // its time has come; if its probe runs, the next one starts when that one ends
	answered bool // there was a result since this check was set; for a Served server, enough to decide
	early    int8 // how many probes may follow at once, because the server ended the kept connection
}

// warning is that a check cannot be made, as it was logged last.
type warning struct {
	result health.Result
	at     time.Time
}

// attempt is one run of a probe.
type attempt struct {
	check     *check
	started   time.Time
	hasSlot   bool          // a slot of the cap
	abandoned bool          // its check was given a time-out in its place
	stalled   time.Duration // the longest stall of the whole process during the attempt
	extended  bool          // it got more time because of the stall
	beside    bool          // a connection was kept when it began
	follows   bool          // it was started because the server had ended the kept connection
	early     bool          // and ahead of its time
	asking    atomic.Bool   // the secret was read and the server is being probed; set by the probe's goroutine
}

// names returns the names of the subjects that share the check, for logs.
func (c *check) names() string {
	names := make([]string, len(c.users))
	for i, u := range c.users {
		names[i] = u.spec.Subject.String()
	}
	return strings.Join(names, ",")
}

// next moves the due time to the first multiple of the interval after now. Intervals run from start to start, and
// probes that were missed during a stall are not made up for.
func (c *check) next(now time.Time) {
	late := now.Sub(c.due)
	c.due = c.due.Add((late/c.id.Check.Interval+1)*c.id.Check.Interval - c.advance)
	c.advance = 0
}

// event is an action that is scheduled for a time.
type event struct {
	at   time.Time
	what eventKind
	// check for a due event, attempt for the others; an event whose check or attempt has changed since is ignored.
	check   *check
	attempt *attempt
}

type eventKind uint8

const (
	due     eventKind = iota // the next probe of a check
	yields                   // a probe that waits for the network releases its slot
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
	old[len(old)-1] = event{} // lets the check be collected
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
