package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// An expectation is one promise and what came of it.
type expectation struct {
	what string // "longest time without an answer"
	saw  string // "3.31 s"
	want string // "≤ 3.76 s = 3 adverts + skew + 0.15 s"
	held bool

	// limit is the wanted figure without where it comes from.
	limit string

	// headline marks the client's outage, the figure of its chapter in the table at the end.
	headline bool
}

// within expects that from one moment to another no more than limit passed; because is where the figure comes from:
// "= 3 adverts + skew".
func within(what string, from, to time.Time, limit time.Duration, because string) expectation {
	return atMost(what, to.Sub(from), limit, because)
}

func atMost(what string, saw, limit time.Duration, because string) expectation {
	e := expectation{what: what, saw: brief(saw), held: saw <= limit, limit: "≤ " + brief(limit)}
	e.want = strings.TrimSpace(e.limit + " " + because)
	return e
}

// is expects a state of things.
func is(what string, held bool, saw string) expectation {
	return expectation{what: what, saw: saw, held: held}
}

// outage expects that a client was without an answer for at most limit.
func outage(r measure.Result, limit time.Duration, because string) expectation {
	e := atMost("the client's longest time without an answer", r.LongestGap().Duration, limit, because)
	e.headline = true
	return e
}

// none expects that no attempt that began after the event failed. (Result.Since keeps the last good one before it and
// what failed between, which belongs to an outage but not here.)
func none(what string, r measure.Result, event time.Time) expectation {
	begun, failed := 0, 0
	for _, attempt := range r.Attempts {
		if attempt.Start.After(event) {
			begun++
			if !attempt.Answered() {
				failed++
			}
		}
	}
	return is(what, begun > 0 && failed == 0, fmt.Sprintf("%d of %d", failed, begun))
}

// brief is a time as people say it: "3.31 s", "40 ms".
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func yes(held bool) string {
	if held {
		return "yes"
	}
	return "no"
}
