package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
)

func TestFailures(t *testing.T) {
	var out bytes.Buffer
	f := &failures{to: &out}
	text := "=== RUN TestA\n--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/part (0.1s)\n--- PASS: TestB (0s)\n--- FAIL: TestC (2s)\nFAIL\n"
	for _, b := range []byte(text) {
		if n, err := f.Write([]byte{b}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if out.String() != text || !slices.Equal(f.tests, []string{"TestA", "TestC"}) {
		t.Errorf("%q, %v", out.String(), f.tests)
	}
}

func TestOnly(t *testing.T) {
	got := only(strings.Fields("/x/e2e.test -test.timeout=30m -test.parallel 2 -test.run ^Test[A-M] -test.skip=A|B -test.v"), []string{"TestA", "TestC"})
	if want := strings.Fields("/x/e2e.test -test.timeout=30m -test.v -test.run=^(TestA|TestC)$ -test.parallel=1"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRepeat: what failed is run again only if the machine stood still, and not for ever.
func TestRepeat(t *testing.T) {
	for _, test := range []struct {
		name  string
		codes []int // of one run after the other
		still bool
		runs  int
	}{
		{"passes", []int{0}, true, 1},
		{"fails on a machine that runs", []int{1}, false, 1},
		{"fails once on a machine that stands still", []int{1, 0}, true, 2},
		{"fails always", []int{1, 1, 1}, true, 3},
		{"panics", []int{2}, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			runs := 0
			code, err := repeat(t.Context(), guest.Options{Command: []string{"x.test", "-test.run=A"}, Stdout: &out},
				func(_ context.Context, o guest.Options) (int, error) {
					if runs++; runs > 1 && !slices.Contains(o.Command, "-test.run=^(TestA)$") {
						t.Errorf("again: %q", o.Command)
					}
					code := test.codes[runs-1]
					if code == 1 {
						_, _ = o.Stdout.Write([]byte("--- FAIL: TestA (0.1s)\n"))
					}
					return code, nil
				}, func() func() (int, time.Duration) {
					return func() (int, time.Duration) {
						if test.still {
							return 3, stillFor
						}
						return 0, 0
					}
				})
			if err != nil || code != test.codes[len(test.codes)-1] || runs != test.runs {
				t.Errorf("code %d, %v, %d runs, want %d\n%s", code, err, runs, test.runs, out.String())
			}
		})
	}
}
