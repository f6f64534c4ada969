package measure

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Attempt is one connection, or login, of the measuring client.
type Attempt struct {
	Start   time.Time
	Took    time.Duration // until the answer or the failure
	Server  string        // the server that answered; "" for a failure
	Failure string        // "timeout", "refused", "reset", …; "" for an answer
	Late    bool          // an answer, but so late that it is none in a gap
}

// Answered reports whether a server answered.
func (a Attempt) Answered() bool { return a.Failure == "" }

// prompt reports whether a server answered, and not late.
func (a Attempt) prompt() bool { return a.Answered() && !a.Late }

// A Result is the attempts of a measuring client, in the order of their starts.
type Result struct {
	Attempts []Attempt
}

// A Gap is a time without answers, where late ones do not count: from the start of the last answered attempt before it to
// the start of the first answered attempt after it. If there is no such attempt, it begins at the first attempt or ends at
// the last one.
type Gap struct {
	From, To time.Time
	Duration time.Duration
	Failed   int // the attempts that failed or were answered late
}

func (g Gap) String() string {
	return fmt.Sprintf("%s (%d failed, %s to %s)", g.Duration.Round(time.Millisecond), g.Failed,
		g.From.Format("15:04:05.000"), g.To.Format("15:04:05.000"))
}

// LongestGap returns the longest time between the starts of two consecutive answered attempts. Without an outage that
// is about Options.Every.
func (r Result) LongestGap() Gap { return r.longest(func(Gap) bool { return true }) }

// LongestOutage returns the longest gap in which an attempt failed or was answered late, a zero Gap if none did. In the
// others no attempt was due, or the client did not get the CPU in time: they say nothing about the servers.
func (r Result) LongestOutage() Gap { return r.longest(func(g Gap) bool { return g.Failed > 0 }) }

func (r Result) longest(counts func(Gap) bool) Gap {
	var longest, open Gap
	for i, attempt := range r.Attempts {
		if i == 0 {
			open.From = attempt.Start
		}
		open.To = attempt.Start
		open.Duration = open.To.Sub(open.From)
		if !attempt.prompt() {
			open.Failed++
		}
		if counts(open) && open.Duration > longest.Duration {
			longest = open
		}
		if attempt.prompt() {
			open = Gap{From: attempt.Start}
		}
	}
	return longest
}

// Failed counts the attempts that were not answered.
func (r Result) Failed() int {
	failed := 0
	for _, attempt := range r.Attempts {
		if !attempt.Answered() {
			failed++
		}
	}
	return failed
}

// Failures counts the failed attempts by cause.
func (r Result) Failures() map[string]int {
	causes := map[string]int{}
	for _, attempt := range r.Attempts {
		if !attempt.Answered() {
			causes[attempt.Failure]++
		}
	}
	return causes
}

// AnsweredBy counts the answers by server.
func (r Result) AnsweredBy() map[string]int {
	servers := map[string]int{}
	for _, attempt := range r.Attempts {
		if attempt.Answered() {
			servers[attempt.Server]++
		}
	}
	return servers
}

// Since returns the attempts from an event on. It includes the last attempt before the event that was answered, and not
// late, and what follows it, because an outage begins at the last answer.
func (r Result) Since(event time.Time) Result {
	first := 0
	for i, attempt := range r.Attempts {
		if !attempt.Start.Before(event) {
			break
		}
		if attempt.prompt() {
			first = i
		}
	}
	r.Attempts = r.Attempts[first:]
	return r
}

// Until returns the attempts up to the first one that started after an event.
func (r Result) Until(event time.Time) Result {
	for i, attempt := range r.Attempts {
		if attempt.Start.After(event) {
			r.Attempts = r.Attempts[:i]
			break
		}
	}
	return r
}

func (r Result) String() string {
	return fmt.Sprintf("%d attempts, %d failed %v, answers %v, longest gap %s",
		len(r.Attempts), r.Failed(), strings.TrimPrefix(fmt.Sprint(r.Failures()), "map"),
		strings.TrimPrefix(fmt.Sprint(r.AnsweredBy()), "map"), r.LongestGap())
}

func sortByStart(attempts []Attempt) {
	slices.SortStableFunc(attempts, func(a, b Attempt) int { return a.Start.Compare(b.Start) })
}
