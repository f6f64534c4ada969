package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PlanVariable is the environment variable that makes a test binary print what its scenarios need instead of running
// them.
const PlanVariable = "LVS_LAB_PLAN"

// Mark is the line that a test binary prints when it is planned to declare that all its tests are scenarios.
const Mark = "lab: every test here is a scenario"

// A scenario declares its needs as attributes of the test (testing.T.Attr) with these keys.
const (
	AttrNeed      = "lab.need"      // parts, separated by spaces
	AttrKernel    = "lab.kernel"    // the kernel that has them, if it is not UML
	AttrExclusive = "lab.exclusive" // needs a guest to itself
	AttrLong      = "lab.long"      // only has a long form
	AttrRelease   = "lab.release"   // of those: `make soak` does not run it
	AttrLonger    = "lab.longer"    // also has a longer form
	AttrBench     = "lab.bench"     // prints figures, and belongs to no form
	AttrAnyKernel = "lab.anykernel" // also runs on the second kernel
	AttrPlanned   = "lab.planned"   // planning ended here, because the rest needs the lab
)

// The kernels of guests.
const (
	UML    = "uml"    // user-mode-linux
	Debian = "debian" // Debian's kernel for PCs, under qemu
)

// A Scenario is a test with the needs that it declared.
type Scenario struct {
	Name      string
	Needs     []string // parts, each once, sorted
	Kernel    string   // UML or Debian
	Exclusive bool
	Long      bool // only runs in the long form
	Release   bool // runs only in the long form of everything, not in `make soak`
	Longer    bool // also has a longer form
	Bench     bool // prints figures, and belongs to no form
	AnyKernel bool // also runs on the second kernel
}

// ParsePlan parses the output of a test binary with PlanVariable and -test.v, and returns its scenarios in order. A
// test that declared no needs, or that did not stop at the end of planning, is an error that names the test; all
// scenarios are returned anyway.
func ParsePlan(output string) ([]Scenario, error) {
	plans := make(map[string]*plan)
	at := func(name string) *plan {
		name, _, _ = strings.Cut(name, "/") // a declaration in a subtest counts for its scenario
		if plans[name] == nil {
			plans[name] = &plan{Scenario: Scenario{Name: name, Kernel: UML}}
		}
		return plans[name]
	}
	var scenarios []Scenario
	var errs []error
	for line := range strings.Lines(output) {
		line = strings.TrimSuffix(line, "\n")
		if a, ok := parseAttribute(line); ok {
			at(a.test).apply(a)
		} else if name, verdict, ok := parseVerdict(line); ok {
			p := at(name)
			if err := p.check(verdict); err != nil {
				errs = append(errs, err)
			}
			slices.Sort(p.Needs)
			p.Needs = slices.Compact(p.Needs)
			scenarios = append(scenarios, p.Scenario)
		}
	}
	return scenarios, errors.Join(errs...)
}

// plan is a scenario while its output is being parsed.
type plan struct {
	Scenario
	needs, planned bool // whether it declared its needs; whether it stopped at the end of planning
}

func (p *plan) apply(a attribute) {
	switch a.key {
	case AttrNeed:
		p.needs = true
		p.Needs = append(p.Needs, strings.Fields(a.value)...)
	case AttrKernel:
		p.Kernel = a.value
	case AttrExclusive:
		p.Exclusive = true
	case AttrLong:
		p.Long = true
	case AttrRelease:
		p.Release = true
	case AttrLonger:
		p.Longer = true
	case AttrBench:
		p.Bench = true
	case AttrAnyKernel:
		p.AnyKernel = true
	case AttrPlanned:
		p.planned = true
	}
}

func (p *plan) check(verdict string) error {
	switch {
	case verdict == "FAIL":
		return fmt.Errorf("%s failed while it was planned: the code before its declarations must not need the lab", p.Name)
	case !p.needs:
		return fmt.Errorf("%s does not declare what it needs: begin it with lab.Need(t) and the other declarations that apply", p.Name)
	case !p.planned:
		return fmt.Errorf("%s declares what it needs, but does not stop when it is only planned: create its network with lab.New, or call lab.EndIfPlanning(t)", p.Name)
	}
	return nil
}

// Undeclared returns what a scenario declared when it ran but not when it was planned. Such a scenario may have run in
// an unsuitable guest, or may be missing from a form.
func (s Scenario) Undeclared(ran Scenario) []string {
	var undeclared []string
	for _, need := range ran.Needs {
		if !slices.Contains(s.Needs, need) {
			undeclared = append(undeclared, "lab.Need "+need)
		}
	}
	for _, d := range []struct {
		name    string
		is, was bool
	}{
		{"lab.Exclusive", ran.Exclusive, s.Exclusive},
		{"lab.Long", ran.Long, s.Long},
		{"lab.Release", ran.Release, s.Release},
		{"lab.HasLongForm", ran.Longer, s.Longer},
		{"lab.Bench", ran.Bench, s.Bench},
		{"lab.AnyKernel", ran.AnyKernel, s.AnyKernel},
	} {
		if d.is && !d.was {
			undeclared = append(undeclared, d.name)
		}
	}
	return undeclared
}

// attribute is a test attribute, from a line of `go test -v`.
type attribute struct{ test, key, value string }

func parseAttribute(line string) (attribute, bool) {
	rest, ok := strings.CutPrefix(line, "=== ATTR  ")
	if !ok {
		return attribute{}, false
	}
	words := strings.SplitN(rest, " ", 3)
	if len(words) < 2 || !strings.HasPrefix(words[1], "lab.") {
		return attribute{}, false
	}
	a := attribute{test: words[0], key: words[1]}
	if len(words) == 3 {
		a.value = strings.TrimSpace(words[2])
	}
	return a, true
}

// parseVerdict parses the line that ends a test, but not that of a subtest, which is indented. The verdict is PASS,
// FAIL or SKIP.
func parseVerdict(line string) (name, verdict string, ok bool) {
	rest, ok := strings.CutPrefix(line, "--- ")
	if !ok {
		return "", "", false
	}
	verdict, name, ok = strings.Cut(rest, ": ")
	name, _, timed := strings.Cut(name, " (")
	return name, verdict, ok && timed && strings.HasSuffix(line, "s)") && slices.Contains([]string{"PASS", "FAIL", "SKIP"}, verdict)
}
