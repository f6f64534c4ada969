package suite

import (
	"fmt"
	"strings"
	"time"
)

// An Outcome is the result of a job.
type Outcome struct {
	Job    Job
	Tally  Tally
	Took   time.Duration // by the machine's clock
	Guest  time.Duration // by the guest's clock; 0 = unknown
	Reason string        // why it failed for a reason other than its tests, one line or more; "" = it did not
	Skips  []string
	Output string
}

// Judge returns the outcome of a job from its output and from how it ended. If its guest ended first, ended is nil and
// died says why.
func Judge(j Job, t *Transcript, ended *Ended, died string, limit, took time.Duration) Outcome {
	o := Outcome{Job: j, Took: took, Output: t.String(), Tally: t.Tally, Skips: t.Skips}
	var reasons []string
	switch {
	case ended == nil:
		reasons = append(reasons, "its guest ended: "+died)
	case ended.Error != "":
		reasons = append(reasons, ended.Error)
	case ended.Overtime:
		reasons = append(reasons, fmt.Sprintf("it did not end within %s of guest time", limit))
	case ended.Code != 0 && t.Tally.Failed == 0:
		reasons = append(reasons, fmt.Sprintf("exit code %d", ended.Code))
	case ended.Code == 0 && t.Tally == Tally{}:
		reasons = append(reasons, "it ran no test")
	}
	if ended != nil {
		o.Guest = ended.Took
		if len(ended.Left) > 0 {
			reasons = append(reasons, "left behind in the guest: "+strings.Join(ended.Left, "; "))
		}
	}
	if j.Scenario != nil {
		if undeclared := j.Scenario.Undeclared(t.Declared); len(undeclared) > 0 {
			reasons = append(reasons, "not declared when it was planned: "+strings.Join(undeclared, ", ")+": move that to its first lines, before lab.New")
		}
	}
	o.Reason = strings.Join(reasons, "; ")
	if o.Reason != "" {
		o.Tally.Failed = max(1, o.Tally.Failed)
	}
	if j.Scenario != nil {
		o.Tally = o.Tally.one()
	}
	return o
}

// Failed reports whether a test failed.
func (o Outcome) Failed() bool { return o.Tally.Failed > 0 }
