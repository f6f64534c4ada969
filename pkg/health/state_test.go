package health_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/health"
)

var (
	epoch   = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	good    = health.Result{Code: health.OK, Class: health.Good, Cause: "mysql: answered in 3ms", Took: 3 * time.Millisecond}
	refused = health.Result{Code: health.Refused, Class: health.Bad, Cause: "mysql: dial 10.77.0.12:3306: connection refused"}
	frozen  = health.Result{Code: health.Timeout, Class: health.Bad, Cause: "mysql: greeting from 10.77.0.12:3306: none within 800ms"}
	denied  = health.Result{Code: health.Auth, Class: health.Unknown, Cause: "mysql: access denied (check the password_file)"}
	full    = health.Result{Code: health.ServerFull, Class: health.Full, Cause: "mysql: Error 1040: Too many connections"}
	expires = health.Result{Code: health.Expires, Class: health.Good, Cause: "tls: the certificate ends in 3 days"}
	leaving = health.Result{Code: health.Shutdown, Class: health.Bad, Cause: "mysql: Error 1053: Server shutdown in progress"}
)

func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

// play applies results one second apart, the first one at second 1, and returns the reason after each.
func play(s health.State, results ...health.Result) (health.State, []string) {
	var reasons []string
	for i, r := range results {
		s, _ = s.Step(at(i+1), r)
		reasons = append(reasons, health.All([]health.State{s}).Reason)
	}
	return s, reasons
}

func TestReasons(t *testing.T) {
	tests := map[string]struct {
		rise, fall int
		results    []health.Result
		want       []string
	}{
		"the first good result decides": {2, 2, []health.Result{good}, []string{
			"up: mysql: answered in 3ms",
		}},
		"the first bad result decides": {2, 2, []health.Result{refused, refused, refused}, []string{
			"down: mysql: dial 10.77.0.12:3306: connection refused (first check)",
			"down: mysql: dial 10.77.0.12:3306: connection refused (2 of 2)",
			"down: mysql: dial 10.77.0.12:3306: connection refused (2 of 2)",
		}},
		"fall, then rise": {2, 3, []health.Result{good, refused, refused, refused, good, good}, []string{
			"up: mysql: answered in 3ms",
			"up: mysql: dial 10.77.0.12:3306: connection refused (1 of 3 failures)",
			"up: mysql: dial 10.77.0.12:3306: connection refused (2 of 3 failures)",
			"down: mysql: dial 10.77.0.12:3306: connection refused (3 of 3)",
			"down: mysql: answered in 3ms (1 of 2 successes)",
			"up: mysql: answered in 3ms",
		}},
		"a success between two failures ends the row": {2, 2, []health.Result{good, refused, good, refused}, []string{
			"up: mysql: answered in 3ms",
			"up: mysql: dial 10.77.0.12:3306: connection refused (1 of 2 failures)",
			"up: mysql: answered in 3ms",
			"up: mysql: dial 10.77.0.12:3306: connection refused (1 of 2 failures)",
		}},
		"a failure between two successes ends the row": {2, 2, []health.Result{refused, good, refused, good}, []string{
			"down: mysql: dial 10.77.0.12:3306: connection refused (first check)",
			"down: mysql: answered in 3ms (1 of 2 successes)",
			"down: mysql: dial 10.77.0.12:3306: connection refused",
			"down: mysql: answered in 3ms (1 of 2 successes)",
		}},
		"unknown keeps up": {2, 2, []health.Result{good, denied, denied, denied}, []string{
			"up: mysql: answered in 3ms",
			"up: kept: mysql: access denied (check the password_file) (last good 1s ago)",
			"up: kept: mysql: access denied (check the password_file) (last good 2s ago)",
			"up: kept: mysql: access denied (check the password_file) (last good 3s ago)",
		}},
		"unknown keeps down": {2, 2, []health.Result{refused, denied}, []string{
			"down: mysql: dial 10.77.0.12:3306: connection refused (first check)",
			"down: kept: mysql: access denied (check the password_file) (never good so far)",
		}},
		"unknown decides nothing": {2, 2, []health.Result{denied, good}, []string{
			"unknown: mysql: access denied (check the password_file)",
			"up: mysql: answered in 3ms",
		}},
		"unknown hides no outage": {2, 2, []health.Result{good, refused, denied, refused}, []string{
			"up: mysql: answered in 3ms",
			"up: mysql: dial 10.77.0.12:3306: connection refused (1 of 2 failures)",
			"up: kept: mysql: access denied (check the password_file) (last good 2s ago)",
			"down: mysql: dial 10.77.0.12:3306: connection refused (2 of 2)",
		}},
		"full at once, back after rise": {2, 2, []health.Result{good, full, good, full, good, good}, []string{
			"up: mysql: answered in 3ms",
			"up: full: mysql: Error 1040: Too many connections",
			"up: full: mysql: answered in 3ms (1 of 2 successes)",
			"up: full: mysql: Error 1040: Too many connections",
			"up: full: mysql: answered in 3ms (1 of 2 successes)",
			"up: mysql: answered in 3ms",
		}},
		"full is a sign of life": {2, 2, []health.Result{refused, full, full}, []string{
			"down: mysql: dial 10.77.0.12:3306: connection refused (first check)",
			"down: mysql: Error 1040: Too many connections (1 of 2 successes)",
			"up: full: mysql: Error 1040: Too many connections",
		}},
		"full first": {2, 2, []health.Result{full, denied}, []string{
			"up: full: mysql: Error 1040: Too many connections",
			"up: full: kept: mysql: access denied (check the password_file) (never good so far)",
		}},
		"a full server can die": {2, 2, []health.Result{full, frozen, frozen}, []string{
			"up: full: mysql: Error 1040: Too many connections",
			"up: full: mysql: greeting from 10.77.0.12:3306: none within 800ms (1 of 2 failures)",
			"down: mysql: greeting from 10.77.0.12:3306: none within 800ms (2 of 2)",
		}},
		"shutdown does not wait for fall": {2, 3, []health.Result{good, leaving, refused}, []string{
			"up: mysql: answered in 3ms",
			"down: mysql: Error 1053: Server shutdown in progress",
			"down: mysql: dial 10.77.0.12:3306: connection refused",
		}},
		"rise and fall below one mean one": {0, -1, []health.Result{good, refused, good}, []string{
			"up: mysql: answered in 3ms",
			"down: mysql: dial 10.77.0.12:3306: connection refused (1 of 1)",
			"up: mysql: answered in 3ms",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, got := play(health.New(tt.rise, tt.fall), tt.results...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

// TestServed: a server that the director found in the table at its start is taken out by fall bad results, not by the
// first.
func TestServed(t *testing.T) {
	for name, tt := range map[string]struct {
		fall      int
		results   []health.Result
		want      []string
		undecided bool
	}{
		"dead": {3, []health.Result{refused, frozen, refused}, []string{
			"unknown: mysql: dial 10.77.0.12:3306: connection refused (1 of 3 failures; it was in the table when this director started)",
			"unknown: mysql: greeting from 10.77.0.12:3306: none within 800ms (2 of 3 failures; it was in the table when this director started)",
			"down: mysql: dial 10.77.0.12:3306: connection refused (3 of 3)",
		}, false},
		"one packet lost": {2, []health.Result{frozen, good, refused}, []string{
			"unknown: mysql: greeting from 10.77.0.12:3306: none within 800ms (1 of 2 failures; it was in the table when this director started)",
			"up: mysql: answered in 3ms",
			"up: mysql: dial 10.77.0.12:3306: connection refused (1 of 2 failures)",
		}, false},
		"nothing to be said of it": {2, []health.Result{denied, refused, denied}, []string{
			"unknown: mysql: access denied (check the password_file)",
			"unknown: mysql: dial 10.77.0.12:3306: connection refused (1 of 2 failures; it was in the table when this director started)",
			"unknown: mysql: access denied (check the password_file)",
		}, true},
		"shutting down": {3, []health.Result{leaving}, []string{"down: mysql: Error 1053: Server shutdown in progress"}, false},
		"fall 1":        {1, []health.Result{refused}, []string{"down: mysql: dial 10.77.0.12:3306: connection refused (1 of 1)"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, got := play(health.New(2, tt.fall).Served(), tt.results...)
			if diff := cmp.Diff(tt.want, got); diff != "" || s.Undecided() != tt.undecided {
				t.Errorf("undecided %t; reasons (-want +got):\n%s", s.Undecided(), diff)
			}
		})
	}
}

func TestResumeKeepsWhatIsKnown(t *testing.T) {
	old, _ := play(health.New(2, 2), good, refused)
	s := health.Resume(1, 3, old)
	for i, wantUp := range []bool{true, true, false} { // the failure before the reload does not count
		s, _ = s.Step(at(10+i), refused)
		if v := health.All([]health.State{s}); !v.Known || v.Up != wantUp {
			t.Errorf("after %d failures: %+v, want up=%v", i+1, v, wantUp)
		}
	}
}

func TestAll(t *testing.T) {
	tcp := health.Result{Code: health.OK, Class: health.Good, Cause: "tcp: connected in 1ms"}
	one := func(r ...health.Result) health.State { s, _ := play(health.New(2, 2), r...); return s }
	tests := map[string]struct {
		states []health.State
		want   health.Verdict
	}{
		"none": {nil, health.Verdict{Known: true, Up: true, Code: health.OK, Reason: "up: no check is configured"}},
		"not checked yet": {
			[]health.State{health.New(2, 2)},
			health.Verdict{Reason: "unknown: not checked yet"},
		},
		"both good: up since the later one": {
			[]health.State{one(tcp), one(denied, good)},
			health.Verdict{Known: true, Up: true, Code: health.OK, Reason: "up: tcp: connected in 1ms; mysql: answered in 3ms", Since: at(2)},
		},
		"one down": {
			[]health.State{one(tcp), one(good, refused, refused)},
			health.Verdict{Known: true, Code: health.Refused, Reason: "down: mysql: dial 10.77.0.12:3306: connection refused (2 of 2)", Since: at(3)},
		},
		"both down: the first one tells, since the earlier one": {
			[]health.State{one(good, frozen, frozen), one(refused)},
			health.Verdict{Known: true, Code: health.Timeout, Reason: "down: mysql: greeting from 10.77.0.12:3306: none within 800ms (2 of 2)", Since: at(1)},
		},
		"down outweighs unknown": {
			[]health.State{health.New(2, 2), one(refused)},
			health.Verdict{Known: true, Code: health.Refused, Reason: "down: mysql: dial 10.77.0.12:3306: connection refused (first check)", Since: at(1)},
		},
		"unknown outweighs up": {
			[]health.State{one(good), one(denied)},
			health.Verdict{Code: health.Auth, Reason: "unknown: mysql: access denied (check the password_file)"},
		},
		"full": {
			[]health.State{one(tcp), one(good, full)},
			health.Verdict{Known: true, Up: true, Full: true, Code: health.ServerFull, Reason: "up: full: mysql: Error 1040: Too many connections", Since: at(2)},
		},
		"a kept state is reported": {
			[]health.State{one(tcp), one(good, denied)},
			health.Verdict{Known: true, Up: true, Code: health.Auth, Reason: "up: kept: mysql: access denied (check the password_file) (last good 1s ago)", Since: at(1)},
		},
		"a failure that does not count yet does not hide what needs an operator": {
			[]health.State{one(good, frozen), one(good, expires)},
			health.Verdict{Known: true, Up: true, Code: health.Expires, Reason: "up: tls: the certificate ends in 3 days", Since: at(1), Doubtful: true},
		},
		"nor does a check without a result": {
			[]health.State{health.New(2, 2), one(denied)},
			health.Verdict{Code: health.Auth, Reason: "unknown: mysql: access denied (check the password_file)"},
		},
		"full outweighs a certificate that ends": {
			[]health.State{one(good, expires), one(good, full)},
			health.Verdict{Known: true, Up: true, Full: true, Code: health.ServerFull, Reason: "up: full: mysql: Error 1040: Too many connections", Since: at(2)},
		},
		"down never says ok": {
			[]health.State{one(refused, good)},
			health.Verdict{Known: true, Code: health.Refused, Reason: "down: mysql: answered in 3ms (1 of 2 successes)", Since: at(1)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, health.All(tt.states)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func drawResult(t *rapid.T) health.Result {
	return rapid.SampledFrom([]health.Result{good, refused, frozen, denied, full, leaving}).Draw(t, "result")
}

// TestStepProperties compares Step with rise and fall counted over the whole history.
func TestStepProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise, fall := rapid.IntRange(1, 4).Draw(t, "rise"), rapid.IntRange(1, 4).Draw(t, "fall")
		s, served := health.New(rise, fall), rapid.Bool().Draw(t, "served")
		if served {
			s = s.Served()
		}
		var evidence []health.Result // everything but Unknown
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			r := drawResult(t)
			before := health.All([]health.State{s})
			next, changed := s.Step(at(i), r)
			v := health.All([]health.State{next})

			if r.Class != health.Unknown {
				evidence = append(evidence, r)
			}
			if changed != (v.Known != before.Known || v.Up != before.Up || v.Full != before.Full) {
				t.Fatalf("changed=%v from %+v to %+v", changed, before, v)
			}
			if r.Class == health.Unknown && changed {
				t.Fatalf("an unknown result changed %+v to %+v", before, v)
			}
			if known := decided(served, fall, evidence); v.Known != known || next.Undecided() == known && len(evidence) > 0 {
				t.Fatalf("known=%v, undecided=%v after %d results that are evidence", v.Known, next.Undecided(), len(evidence))
			}
			if v.Up && !v.Known || v.Full && !v.Up || v.Known && !v.Up && v.Code == health.OK {
				t.Fatalf("contradiction: %+v", v)
			}
			checkTransition(t, rise, fall, evidence, before, v)
			word, _, _ := strings.Cut(v.Reason, ":")
			if want := map[bool]string{true: "up", false: "down"}[v.Up]; v.Known && word != want || !v.Known && word != "unknown" {
				t.Fatalf("reason %q for %+v", v.Reason, v)
			}
			s = next
		}
	})
}

// decided reports whether the evidence suffices for a decision: any result, or for a served server as many failures as
// take one out.
func decided(served bool, fall int, evidence []health.Result) bool {
	return len(evidence) >= fall || slices.ContainsFunc(evidence, func(r health.Result) bool {
		return !served || r.Class != health.Bad || r.Code == health.Shutdown
	})
}

func checkTransition(t *rapid.T, rise, fall int, evidence []health.Result, before, after health.Verdict) {
	tail := func(pass bool) (n int) {
		for i := len(evidence) - 1; i >= 0 && (evidence[i].Class != health.Bad) == pass; i-- {
			n++
		}
		return n
	}
	if !before.Known {
		return
	}
	shutdown := len(evidence) > 0 && evidence[len(evidence)-1].Code == health.Shutdown
	if wantDown := before.Up && (tail(false) >= fall || shutdown); wantDown != (before.Up && !after.Up) {
		t.Fatalf("after %d failures of %d: %+v -> %+v", tail(false), fall, before, after)
	}
	if wantUp := !before.Up && tail(true) >= rise; wantUp != (!before.Up && after.Up) {
		t.Fatalf("after %d successes of %d: %+v -> %+v", tail(true), rise, before, after)
	}
}

// TestStepIsAValue: Step does not change the state that it starts from.
func TestStepIsAValue(t *testing.T) {
	s, _ := play(health.New(2, 2), good)
	a, _ := s.Step(at(5), refused)
	b, _ := s.Step(at(5), refused)
	if a != b {
		t.Errorf("the same step from the same state: %+v and %+v", a, b)
	}
}
