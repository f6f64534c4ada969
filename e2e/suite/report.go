package suite

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Report prints how jobs end. It is for one goroutine.
type Report struct {
	To      io.Writer
	Verbose bool // what passed is printed, too

	Outcomes []Outcome
}

// Add prints a line, and what there is to read of a job that failed or was skipped.
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
	why, more, _ := strings.Cut(o.Why, "\n")
	if o.Job.Scenario == nil {
		line += fmt.Sprintf("  %d tests", o.Tally.Passed+o.Tally.Failed)
		if len(o.Skips) > 0 {
			line += ", skipped: " + strings.Join(o.Skips, " ")
		}
	}
	if why != "" {
		line += "  " + why
	}
	fmt.Fprintln(r.To, strings.TrimRight(line, " "))
	if word != "ok  " || r.Verbose {
		fmt.Fprint(r.To, o.Output)
	}
	if more != "" {
		fmt.Fprintln(r.To, more)
	}
}

// Tally counts the tests of all jobs.
func (r *Report) Tally() (sum Tally) {
	for _, o := range r.Outcomes {
		sum = sum.plus(o.Tally)
	}
	return sum
}

// A Closing is what the end of a run says beside what Add was told.
type Closing struct {
	Elapsed time.Duration // of the run
	Guests  int           // at a time
	Used    time.Duration // of the budget: since the beginning of what it is for
	Budget  time.Duration // 0 = none
	NotRun  []Job         // where the run was ended
}

const slowestListed = 10

// Close prints the summary. Its last line is the count.
func (r *Report) Close(c Closing) {
	slowest := slices.Clone(r.Outcomes)
	slices.SortStableFunc(slowest, func(a, b Outcome) int { return cmp.Compare(b.Took, a.Took) })
	if len(slowest) > 0 {
		fmt.Fprintf(r.To, "\nthe slowest:\n")
	}
	for _, o := range slowest[:min(slowestListed, len(slowest))] {
		fmt.Fprintf(r.To, "  %7s (%s in the guest)  %s\n", seconds(o.Took), seconds(o.Guest), o.Job.Name)
	}
	if failed := r.names(Outcome.Failed); len(failed) > 0 {
		fmt.Fprintf(r.To, "failed: %s\n", strings.Join(failed, " "))
	}
	if len(c.NotRun) > 0 {
		var names []string
		for _, j := range c.NotRun {
			names = append(names, j.Name)
		}
		fmt.Fprintf(r.To, "not run: %s\n", strings.Join(names, " "))
	}
	fmt.Fprintf(r.To, "%s with %d guests at a time, which were busy for %s\n", seconds(c.Elapsed), c.Guests, seconds(r.busy()))
	if c.Budget > 0 {
		fmt.Fprintf(r.To, "budget: %s of %s used%s\n", seconds(c.Used), seconds(c.Budget), map[bool]string{true: ": TOO LONG"}[c.Used > c.Budget])
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
