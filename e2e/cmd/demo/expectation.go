package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// An expectation is a promise and the measured result.
type expectation struct {
	what string // "longest time without an answer"
	got  string // "3.31 s"
	want string // "≤ 3.76 s = 3 adverts + skew + 0.15 s"
	met  bool

	// limit is the limit in want without its derivation.
	limit string

	// headline marks the client's outage, which the final table shows for each step.
	headline bool
}

// within expects that at most limit passed between two times. because is how the limit is derived: "= 3 adverts +
// skew".
func within(what string, from, to time.Time, limit time.Duration, because string) expectation {
	return atMost(what, to.Sub(from), limit, because)
}

func atMost(what string, got, limit time.Duration, because string) expectation {
	e := expectation{what: what, got: brief(got), met: got <= limit, limit: "≤ " + brief(limit)}
	e.want = strings.TrimSpace(e.limit + " " + because)
	return e
}

// is expects a condition.
func is(what string, met bool, got string) expectation {
	return expectation{what: what, got: got, met: met}
}

// outage expects that a client had no answer for at most limit.
func outage(r measure.Result, limit time.Duration, because string) expectation {
	e := atMost("the client's longest time without an answer", r.LongestGap().Duration, limit, because)
	e.headline = true
	return e
}

// none expects that no attempt that started after the event failed. (Result.Since also has the last answered attempt
// before the event and the failures in between, which count for an outage but not here.)
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

// brief formats a duration for people: "3.31 s", "40 ms".
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}
