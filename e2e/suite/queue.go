package suite

import (
	"slices"
	"time"
)

// Unknown is the expected duration of a job that never ran. It is long, so that such a job is started early.
const Unknown = time.Hour

// A Queue contains the jobs that have not been started. A guest takes the next job when it has finished one, so jobs
// need not be assigned to guests in advance.
type Queue struct{ pending []Job }

// NewQueue returns a queue of jobs. Jobs with the same expected duration run in the given order.
func NewQueue(jobs []Job) *Queue { return &Queue{slices.Clone(jobs)} }

// A Guest is what the queue needs to know about a guest. Kernel "" = no guest has been booted.
type Guest struct {
	Kernel string
	Used   bool // a job has run in it
}

// Next removes and returns the job that the guest is to run: the longest, where the duration of a boot is subtracted
// from a job that needs one. boot reports whether the job needs a boot; ok is false if the queue is empty.
func (q *Queue) Next(g Guest) (j Job, boot, ok bool) {
	best := -1
	for i, candidate := range q.pending {
		if best < 0 || g.priority(candidate) > g.priority(q.pending[best]) {
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

// Pending returns the jobs that have not been started.
func (q *Queue) Pending() []Job { return slices.Clone(q.pending) }

func (g Guest) fits(j Job) bool { return g.Kernel == j.Kernel && (!j.Exclusive || !g.Used) }

func (g Guest) priority(j Job) time.Duration {
	expected := j.Expected
	if expected == 0 {
		expected = Unknown
	}
	if g.fits(j) {
		return expected
	}
	return expected - bootTime(j.Kernel)
}

// bootTime is roughly how long a boot takes, including the power-off of the previous guest.
func bootTime(kernel string) time.Duration {
	if kernel == Debian {
		return 15 * time.Second
	}
	return 2 * time.Second
}
