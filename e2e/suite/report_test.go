package suite

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func transcript(pieces ...string) *Transcript {
	var t Transcript
	for _, p := range pieces {
		_, _ = t.Write([]byte(p))
	}
	return &t
}

func TestTranscript(t *testing.T) {
	got := transcript("=== RUN   TestA\n=== ATTR  TestA lab.lon", "ger \n=== ATTR  TestA lab.need a b\n    a_test.go:1: said\n---", " PASS: TestA (0.00s)\n",
		"    --- FAIL: TestA/part (0.00s)\n--- FAIL: TestB (1.00s)\n--- SKIP: TestC (0.00s)\n--- SKIP: not (one\n--- DONE: TestD (0.00s)\nFAIL")
	if diff := cmp.Diff(Tally{1, 1, 1}, got.Tally); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(Scenario{Needs: []string{"a", "b"}, Longer: true}, got.Declared); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := "    a_test.go:1: said\n--- PASS: TestA (0.00s)\n    --- FAIL: TestA/part (0.00s)\n--- FAIL: TestB (1.00s)\n--- SKIP: TestC (0.00s)\n--- SKIP: not (one\n--- DONE: TestD (0.00s)\nFAIL\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if strings.Join(got.Skips, " ") != "TestC" {
		t.Errorf("skips %v", got.Skips)
	}
}

// TestTranscriptIsBounded: of very long output the beginning and the end are kept, and the counts are correct.
func TestTranscriptIsBounded(t *testing.T) {
	var tr Transcript
	line := []byte(strings.Repeat("x", 1000) + "\n")
	for range 3000 {
		_, _ = tr.Write(line)
		_, _ = tr.Write([]byte("--- PASS: TestA (0.00s)\n"))
	}
	for range 3000 { // a very long line
		_, _ = tr.Write(line[:1000])
	}
	_, _ = tr.Write([]byte("\nthe end\n"))
	text := tr.String()
	if tr.Tally.Passed != 3000 || len(text) > keptHead+keptTail+100 || !strings.HasPrefix(text, "xxx") || !strings.HasSuffix(text, "\nthe end\n") ||
		!strings.Contains(text, " bytes omitted …\n") || cap(tr.line) > 4*longLine {
		t.Errorf("%d passed, %d bytes, a line of %d", tr.Tally.Passed, len(text), cap(tr.line))
	}
}

func TestJudge(t *testing.T) {
	scenario, passed := &Scenario{Name: "TestA"}, "--- PASS: TestA (0.00s)\n"
	for _, tt := range []struct {
		name   string
		output string
		ended  *Ended
		want   Tally
		reason string
	}{
		{"passes", passed, &Ended{}, Tally{Passed: 1}, ""},
		{"skips", "--- SKIP: TestA (0.00s)\n", &Ended{}, Tally{Skipped: 1}, ""},
		{"fails", "--- FAIL: TestA (0.00s)\n", &Ended{Code: 1}, Tally{Failed: 1}, ""},
		{"fails after it has printed what looks like a verdict", passed + "--- FAIL: TestA (0.00s)\n", &Ended{Code: 1}, Tally{Failed: 1}, ""},
		{"exits", passed, &Ended{Code: 3}, Tally{Failed: 1}, "exit code 3"},
		{"does not match -test.run", "testing: warning: no tests to run\nPASS\n", &Ended{}, Tally{Failed: 1}, "it ran no test"},
		{"hangs", "", &Ended{Code: 2, Overtime: true}, Tally{Failed: 1}, "it did not end within 5m0s of guest time"},
		{"leaves things", passed, &Ended{Left: []string{"process 7 (sleep)", "mount /x"}}, Tally{Failed: 1}, "left behind in the guest: process 7 (sleep); mount /x"},
		{"cannot start", "", &Ended{Code: -1, Error: "start x: no"}, Tally{Failed: 1}, "start x: no"},
		{"kills the guest", "", nil, Tally{Failed: 1}, "its guest ended: panic"},
		{"declares something late", "=== ATTR  TestA lab.exclusive \n" + passed, &Ended{}, Tally{Failed: 1}, "not declared when it was planned: lab.Exclusive: move that to its first lines, before lab.New"},
	} {
		o := Judge(Job{Scenario: scenario}, transcript(tt.output), tt.ended, "panic", 5*time.Minute, time.Second)
		if o.Tally != tt.want || o.Reason != tt.reason || o.Failed() != (tt.want.Failed > 0) {
			t.Errorf("a scenario that %s: %+v, %q; want %+v, %q", tt.name, o.Tally, o.Reason, tt.want, tt.reason)
		}
	}
	whole := Judge(Job{}, transcript("--- PASS: TestA (0.00s)\n--- PASS: TestB (0.00s)\n--- SKIP: TestC (0.00s)\npanic: x\n"), &Ended{Code: 2}, "", 0, 0)
	if whole.Tally != (Tally{2, 1, 1}) || whole.Reason != "exit code 2" {
		t.Errorf("a package that panics: %+v, %q", whole.Tally, whole.Reason)
	}
}

func TestReport(t *testing.T) {
	var b strings.Builder
	r := Report{To: &b}
	scenario := func(name string) Job { return Job{Name: name, Scenario: &Scenario{Name: name}} }
	for _, o := range []Outcome{
		{Job: scenario("TestGood"), Tally: Tally{Passed: 1}, Took: 3210 * time.Millisecond, Guest: 30 * time.Second, Output: "not printed\n"},
		{Job: scenario("TestSkipped"), Tally: Tally{Skipped: 1}, Took: time.Second, Output: "a reason\n"},
		{Job: scenario("TestBad"), Tally: Tally{Failed: 1}, Took: time.Minute, Output: "its output\n"},
		{Job: scenario("TestKilled"), Tally: Tally{Failed: 1}, Reason: "its guest ended: panic\nconsole output"},
		{Job: Job{Name: "pkg/x"}, Tally: Tally{Passed: 12, Skipped: 1}, Took: 2 * time.Second, Skips: []string{"TestZ"}},
	} {
		r.Add(o)
	}
	r.Close(Summary{Elapsed: 70 * time.Second, Guests: 2, Used: 500 * time.Second, Budget: 480 * time.Second, NotRun: []Job{scenario("TestNever")}})
	want := `ok   TestGood                               3.2 s
skip TestSkipped                            1.0 s
a reason
FAIL TestBad                               60.0 s
its output
FAIL TestKilled                             0.0 s  its guest ended: panic
console output
ok   pkg/x                                  2.0 s  12 tests, skipped: TestZ

slowest:
   60.0 s (0.0 s in the guest)  TestBad
    3.2 s (30.0 s in the guest)  TestGood
    2.0 s (0.0 s in the guest)  pkg/x
    1.0 s (0.0 s in the guest)  TestSkipped
    0.0 s (0.0 s in the guest)  TestKilled
failed: TestBad TestKilled
not run: TestNever
elapsed: 70.0 s with 2 guests at a time; sum of all jobs: 66.2 s
budget: 500.0 s of 480.0 s used: TOO LONG
13 passed, 2 failed, 2 skipped
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
