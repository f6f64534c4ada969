package suite

import (
	"fmt"
	"strings"
	"time"
)

// An Outcome is how a job ended.
type Outcome struct {
	Job    Job
	Tally  Tally
	Took   time.Duration // by the machine's clock
	Guest  time.Duration // by the guest's; 0 = it did not tell
	Why    string        // what is wrong beside what the tests say themselves, one line or more; "" = nothing
	Skips  []string
	Output string
}

// Judge makes an outcome of what a job printed and of how it ended; ended is nil where its guest ended first, and then
// died says how.
func Judge(j Job, t *Transcript, ended *Ended, died string, limit, took time.Duration) Outcome {
	o := Outcome{Job: j, Took: took, Output: t.String(), Tally: t.Tally, Skips: t.Skips}
	var why []string
	switch {
	case ended == nil:
		why = append(why, "its guest ended: "+died)
	case ended.Trouble != "":
		why = append(why, ended.Trouble)
	case ended.Overtime:
		why = append(why, fmt.Sprintf("it did not end within %s of the guest's time", limit))
	case ended.Code != 0 && t.Tally.Failed == 0:
		why = append(why, fmt.Sprintf("exit code %d", ended.Code))
	case ended.Code == 0 && t.Tally == Tally{}:
		why = append(why, "it ran no test")
	}
	if ended != nil {
		o.Guest = ended.Took
		if len(ended.Left) > 0 {
			why = append(why, "it left in the guest: "+strings.Join(ended.Left, "; "))
		}
	}
	if j.Scenario != nil {
		if late := j.Scenario.Undeclared(t.Said); len(late) > 0 {
			why = append(why, "it did not say so when it was planned: "+strings.Join(late, ", ")+": move that to its first lines, before lab.New")
		}
	}
	o.Why = strings.Join(why, "; ")
	if o.Why != "" {
		o.Tally.Failed = max(1, o.Tally.Failed)
	}
	if j.Scenario != nil {
		o.Tally = o.Tally.one()
	}
	return o
}

// Failed reports whether a test failed.
func (o Outcome) Failed() bool { return o.Tally.Failed > 0 }
