package suite

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Report prints the outcomes of jobs. It is not safe for concurrent use.
type Report struct {
	To      io.Writer
	Verbose bool // print the output of jobs that passed, too

	Outcomes []Outcome
}

// Add prints a line for the job, and its output if it failed or was skipped.
func (r *Report) Add(o Outcome) {
	r.Outcomes = append(r.Outcomes, o)
	word := "ok  "
	switch {
	case o.Failed():
		word = "FAIL"
	case o.Tally.Passed == 0:
		word = "skip"
	}
	line := fmt.Sprintf("%s %-36s %7s", word, o.Job.Name, seconds(o.Took))
	reason, details, _ := strings.Cut(o.Reason, "\n")
	if o.Job.Scenario == nil {
		line += fmt.Sprintf("  %d tests", o.Tally.Passed+o.Tally.Failed)
		if len(o.Skips) > 0 {
			line += ", skipped: " + strings.Join(o.Skips, " ")
		}
	}
	if reason != "" {
		line += "  " + reason
	}
	fmt.Fprintln(r.To, strings.TrimRight(line, " "))
	if word != "ok  " || r.Verbose {
		fmt.Fprint(r.To, o.Output)
	}
	if details != "" {
		fmt.Fprintln(r.To, details)
	}
}

// Tally counts the tests of all jobs.
func (r *Report) Tally() (sum Tally) {
	for _, o := range r.Outcomes {
		sum = sum.plus(o.Tally)
	}
	return sum
}

// A Summary is the data for the end of a report beside the outcomes.
type Summary struct {
	Elapsed time.Duration // duration of the run
	Guests  int           // at a time
	Used    time.Duration // time used of the budget, from the start of what the budget is for
	Budget  time.Duration // 0 = none
	NotRun  []Job         // if the run was interrupted
}

const slowestListed = 10

// Close prints the summary. Its last line has the counts.
func (r *Report) Close(s Summary) {
	slowest := slices.Clone(r.Outcomes)
	slices.SortStableFunc(slowest, func(a, b Outcome) int { return cmp.Compare(b.Took, a.Took) })
	if len(slowest) > 0 {
		fmt.Fprintf(r.To, "\nslowest:\n")
	}
	for _, o := range slowest[:min(slowestListed, len(slowest))] {
		fmt.Fprintf(r.To, "  %7s (%s in the guest)  %s\n", seconds(o.Took), seconds(o.Guest), o.Job.Name)
	}
	if failed := r.names(Outcome.Failed); len(failed) > 0 {
		fmt.Fprintf(r.To, "failed: %s\n", strings.Join(failed, " "))
	}
	if len(s.NotRun) > 0 {
		var names []string
		for _, j := range s.NotRun {
			names = append(names, j.Name)
		}
		fmt.Fprintf(r.To, "not run: %s\n", strings.Join(names, " "))
	}
	fmt.Fprintf(r.To, "elapsed: %s with %d guests at a time; sum of all jobs: %s\n", seconds(s.Elapsed), s.Guests, seconds(r.busy()))
	if s.Budget > 0 {
		fmt.Fprintf(r.To, "budget: %s of %s used%s\n", seconds(s.Used), seconds(s.Budget), map[bool]string{true: ": TOO LONG"}[s.Used > s.Budget])
	}
	t := r.Tally()
	line := fmt.Sprintf("%d passed, %d failed", t.Passed, t.Failed)
	if t.Skipped > 0 {
		line += fmt.Sprintf(", %d skipped", t.Skipped)
	}
	fmt.Fprintln(r.To, line)
}

func (r *Report) names(which func(Outcome) bool) (names []string) {
	for _, o := range r.Outcomes {
		if which(o) {
			names = append(names, o.Job.Name)
		}
	}
	return names
}

func (r *Report) busy() (sum time.Duration) {
	for _, o := range r.Outcomes {
		sum += o.Took
	}
	return sum
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
