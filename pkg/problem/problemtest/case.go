package problemtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// Within is how long a problem may take to appear after the fault, and to go away after the repair. If three intervals of
// what detects it are longer, these count, from the first check or advert after the fault: see Case.Interval.
const Within = 5 * time.Second

// Case is one fault of a machine M, and its repair.
type Case[M any] struct {
	Code    problem.Code // the problem that it causes
	Subject string       // what has the problem; "" for the node
	Fault   string       // a name, needed if a code has several cases
	// Break causes the fault, Mend repairs it.
	Break, Mend func(m M)
	// Beside are other problems that the same fault causes and that may be reported until it is repaired.
	Beside []problem.Code
	// Interval is that of the check or advert that detects the fault, if three of them are longer than Within.
	Interval time.Duration
	// After is how long the fault must last before it is a problem by definition.
	After time.Duration
	// Lasts is how long the problem lasts at least; 0: until the repair.
	Lasts time.Duration
	// Unready: the fault is this machine's own, so that it is not ready, although the code alone does not say so.
	Unready bool
	// Scenario is the scenario in e2e that shows the code instead, for what only a kernel can show. Break and Mend are
	// then nil.
	Scenario string
}

// Name names the case in the output of go test.
func (c Case[M]) Name() string {
	return strings.Trim(string(c.Code)+"/"+strings.ReplaceAll(c.Fault, " ", "_"), "/")
}

// Try breaks and mends a machine that has no problems. look returns its problems, pass lets time pass for its loops.
func (c Case[M]) Try(t *testing.T, m M, look func() []problem.Problem, pass func(time.Duration)) {
	t.Helper()
	c.Break(m)
	pass(c.After)
	limit := max(Within, 4*c.Interval)
	c.await(t, "appear", limit, look, pass, func(now []problem.Problem) bool {
		return slices.ContainsFunc(now, func(p problem.Problem) bool { return p.Code == c.Code && p.Subject == c.Subject })
	})
	for _, p := range look() {
		if p.Code != c.Code && !slices.Contains(c.Beside, p.Code) {
			t.Errorf("the fault is reported as %s %q too: %s", p.Code, p.Subject, p.Text)
		}
		if want := c.Unready || problem.Declared().Unready(c.Code); p.Code == c.Code && p.Unready != want {
			t.Errorf("%s %q: unready: %t, want %t", p.Code, p.Subject, p.Unready, want)
		}
		if p.Text == "" || p.Remedy == "" || p.Since.IsZero() {
			t.Errorf("incomplete: %+v", p)
		}
	}
	// It stays until the repair.
	for range int(cmp.Or(c.Lasts, limit) / look100) {
		pass(look100)
		if now := look(); !slices.ContainsFunc(now, func(p problem.Problem) bool { return p.Code == c.Code }) {
			t.Fatalf("%s went away without a repair; now %s", c.Code, texts(now))
		}
	}
	c.Mend(m)
	c.await(t, "go away", limit, look, pass, func(now []problem.Problem) bool { return len(now) == 0 })
	for range int(limit / look100) {
		pass(look100)
		if now := look(); len(now) > 0 {
			t.Fatalf("%s came back after the repair: %s", c.Code, texts(now))
		}
	}
}

// look100 is the interval between two looks.
const look100 = 100 * time.Millisecond

func (c Case[M]) await(t *testing.T, what string, limit time.Duration, look func() []problem.Problem, pass func(time.Duration), done func([]problem.Problem) bool) {
	t.Helper()
	for begun := time.Now(); ; pass(look100) {
		now := look()
		if done(now) {
			return
		}
		if time.Since(begun) >= limit {
			t.Fatalf("%s of %q did not %s within %s; the problems are %s", c.Code, c.Subject, what, limit, texts(now))
		}
	}
}

func texts(all []problem.Problem) string {
	lines := make([]string, len(all))
	for i, p := range all {
		lines[i] = fmt.Sprintf("\n\t%s %s %q: %s", p.Severity, p.Code, p.Subject, p.Text)
	}
	if len(lines) == 0 {
		return "none"
	}
	return strings.Join(lines, "")
}
