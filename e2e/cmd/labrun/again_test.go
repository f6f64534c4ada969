package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

// TestRepeat: what failed is run again only if the machine was away, when it is back, and not for ever.
func TestRepeat(t *testing.T) {
	still := absence{stills: 3, longest: stillFor}
	runs := absence{stolen: stolenOften / 2}
	for _, test := range []struct {
		name   string
		codes  []int     // of one run after the other
		away   []absence // of one look after the other; the last one stays
		runs   int
		waited time.Duration // in all
	}{
		{"passes", []int{0}, []absence{still}, 1, 0},
		{"fails on a machine that runs", []int{1}, []absence{runs}, 1, 0},
		{"fails once on a machine that stood still", []int{1, 0}, []absence{still, runs}, 2, quiet},
		{"fails once on a machine that others used", []int{1, 0}, []absence{{stolen: stolenOften}, still, still, runs}, 2, 3 * quiet},
		{"fails on a machine that stood still, and on one that runs", []int{1, 1}, []absence{still, runs}, 2, quiet},
		{"fails once on a machine that is never back", []int{1, 0}, []absence{still}, 2, patience},
		{"fails always", []int{1, 1, 1, 1}, []absence{still}, 4, 3 * patience},
		{"panics", []int{2}, []absence{still}, 1, 0},
	} {
		repeats := func(t *testing.T) {
			var out bytes.Buffer
			runs, looks, begun := 0, 0, time.Now()
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
				}, func() func() absence {
					return func() absence {
						looks++
						return test.away[min(looks, len(test.away))-1]
					}
				})
			if err != nil || code != test.codes[len(test.codes)-1] || runs != test.runs {
				t.Errorf("code %d, %v, %d runs, want %d\n%s", code, err, runs, test.runs, out.String())
			}
			if waited := time.Since(begun); waited != test.waited {
				t.Errorf("waited for %s, want %s", waited, test.waited)
			}
		}
		t.Run(test.name, func(t *testing.T) { synctest.Test(t, repeats) })
	}
}

func TestStealOf(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"cpu  1528188 144278 2487653 4475462 8373 0 14304 99495 0 0": 994950 * time.Millisecond,
		"cpu  1 2 3 4":         0,
		"cpu  1 2 3 4 5 6 7 x": 0,
		"":                     0,
	} {
		if got := stealOf(line); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

// The watch ends when it is asked, and this test itself is not taken for an absence of hours.
func TestAbsences(t *testing.T) {
	seen := absences()
	time.Sleep(50 * time.Millisecond)
	if a := seen(); a.longest > time.Minute || a.stolen > time.Minute {
		t.Error(a)
	}
}
