package suite

import (
	"slices"
	"time"
)

// Unknown is how long a job is taken to be that never ran: long, so that it is begun early.
const Unknown = time.Hour

// A Queue holds the jobs that nobody has begun yet. Guests take the next one when they are through with one, so that no
// packing in advance can be wrong.
type Queue struct{ pending []Job }

// NewQueue makes a queue of jobs. Among those that are expected to take the same time, the first one is run first.
func NewQueue(jobs []Job) *Queue { return &Queue{slices.Clone(jobs)} }

// A Guest is what the queue must know of one: "" as its kernel = there is none.
type Guest struct {
	Kernel string
	Used   bool // something has run in it
}

// Next takes out the job that a guest is to run: the longest, where a job that needs another boot counts as shorter by
// what that boot takes. boot says that it does; ok is false when nothing is left.
func (q *Queue) Next(g Guest) (j Job, boot, ok bool) {
	best := -1
	for i, candidate := range q.pending {
		if best < 0 || g.worth(candidate) > g.worth(q.pending[best]) {
			best = i
		}
	}
	if best < 0 {
		return Job{}, false, false
	}
	j = q.pending[best]
	q.pending = slices.Delete(q.pending, best, best+1)
	return j, !g.fits(j), true
}

// Left lists the jobs that nobody has begun.
func (q *Queue) Left() []Job { return slices.Clone(q.pending) }

func (g Guest) fits(j Job) bool { return g.Kernel == j.Kernel && (!j.Exclusive || !g.Used) }

func (g Guest) worth(j Job) time.Duration {
	expected := j.Expected
	if expected == 0 {
		expected = Unknown
	}
	if g.fits(j) {
		return expected
	}
	return expected - bootTime(j.Kernel)
}

// bootTime is about what a boot takes, with the power-off of the guest before.
func bootTime(kernel string) time.Duration {
	if kernel == Debian {
		return 15 * time.Second
	}
	return 2 * time.Second
}
