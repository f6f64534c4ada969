package main

import (
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// An expectation is one promise and what came of it.
type expectation struct {
	what string // "the client's longest time without an answer"
	saw  string // "3.31 s"
	want string // "at most 3.71 s (3 adverts + skew 0.61 s + 0.1 s)"
	held bool
}

// within expects a time of at most limit.
func within(what string, saw, limit time.Duration, because string) expectation {
	want := "at most " + brief(limit)
	if because != "" {
		want += " (" + because + ")"
	}
	return expectation{what: what, saw: brief(saw), want: want, held: saw <= limit}
}

// is expects a state of things.
func is(what string, held bool, saw string) expectation {
	return expectation{what: what, saw: saw, held: held}
}

// outage expects that a client was without an answer for at most limit. Where the client itself did not get the CPU, the
// starts that fell out are not the cluster's fault and are added to the limit; the line says so.
func outage(what string, r lab.Result, limit time.Duration, because string) expectation {
	gap := r.LongestGap()
	starved := time.Duration(gap.Skipped) * r.Every
	e := within(what, gap.Duration, limit+starved, because)
	if starved > 0 {
		e.want += fmt.Sprintf(", client starved of CPU for %s", brief(starved))
	}
	return e
}

// brief is a time as people say it: "3.31 s", "40 ms".
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
