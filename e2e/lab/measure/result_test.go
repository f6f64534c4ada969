package measure_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// attempts converts a string to a result: a letter is an answer from that server, late if it is a capital, a dot a failure, one
// every 10 ms.
func attempts(picture string) measure.Result {
	var r measure.Result
	for i, c := range picture {
		a := measure.Attempt{Start: tick(i), Server: strings.ToLower(string(c)), Late: unicode.IsUpper(c)}
		if c == '.' {
			a.Server, a.Failure = "", "timeout"
		}
		r.Attempts = append(r.Attempts, a)
	}
	return r
}

func tick(i int) time.Time {
	return time.Unix(1_000_000, 0).Add(time.Duration(i) * 10 * time.Millisecond)
}

func TestLongestGap(t *testing.T) {
	cases := []struct {
		name, picture string
		since         int
		gap           time.Duration // ms
		failed        int
	}{
		{"nothing", "", 0, 0, 0},
		{"one", "a", 0, 0, 0},
		{"no outage", "aaaa", 0, 10, 0},
		{"one lost", "a.a", 0, 20, 1},
		{"the longer of two", "a.a...bb", 0, 40, 3},
		{"no answer at the end", "aa....", 0, 40, 4},
		{"no answer at all", "....", 0, 30, 4},
		{"no answer at the start", "...a", 0, 30, 3},
		{"begins at the answer before the event", "aa....b", 3, 50, 4},
		{"an older outage is left out", "a......aaab", 8, 10, 0},
		{"late answers", "aAAAb", 0, 40, 3},
		{"late answers after failures", "a..AAb", 0, 50, 4},
		{"a late answer before the event", "aaAA..b", 4, 50, 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			gap := attempts(c.picture).Since(tick(c.since)).LongestGap()
			if gap.Duration != c.gap*time.Millisecond || gap.Failed != c.failed {
				t.Errorf("%s, want %d ms and %d failed", gap, c.gap, c.failed)
			}
			want := gap
			if c.failed == 0 {
				want = measure.Gap{}
			}
			if got := attempts(c.picture).Since(tick(c.since)).LongestOutage(); got != want {
				t.Errorf("outage: %s, want %s", got, want)
			}
		})
	}
}

// TestLongestOutage: a longer gap in which the client attempted nothing does not count.
func TestLongestOutage(t *testing.T) {
	r := attempts("aa.aaa")
	r.Attempts = append(r.Attempts, measure.Attempt{Start: tick(20), Server: "a"})
	if gap, outage := r.LongestGap(), r.LongestOutage(); gap.Duration != 150*time.Millisecond || outage.Duration != 20*time.Millisecond {
		t.Errorf("gap %s, outage %s", gap, outage)
	}
}

func TestResultCounts(t *testing.T) {
	r := attempts("aab..B")
	if diff := cmp.Diff(map[string]int{"a": 2, "b": 2}, r.AnsweredBy()); diff != "" {
		t.Errorf("answers: %s", diff)
	}
	if diff := cmp.Diff(map[string]int{"timeout": 2}, r.Failures()); diff != "" {
		t.Errorf("failures: %s", diff)
	}
	if got := r.Until(tick(2)); len(got.Attempts) != 3 || got.Failed() != 0 {
		t.Errorf("until: %s", got)
	}
	if got := r.Since(tick(4)); len(got.Attempts) != 4 || got.Failed() != 2 {
		t.Errorf("since: %s", got)
	}
}
