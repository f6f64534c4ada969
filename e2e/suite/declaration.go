package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PlanVariable is the environment variable that makes a test binary say what its scenarios need, instead of running them.
const PlanVariable = "LVS_LAB_PLAN"

// Mark is the line by which a test binary that is planned says that all its tests are scenarios.
const Mark = "lab: every test here is a scenario"

// What a scenario says of itself are attributes of the test (testing.T.Attr) with these keys.
const (
	AttrNeed      = "lab.need"      // the parts, with spaces between them
	AttrKernel    = "lab.kernel"    // the kernel that has them, where it is not UML
	AttrExclusive = "lab.exclusive" // a boot of its own
	AttrLong      = "lab.long"      // has a long form only
	AttrLonger    = "lab.longer"    // has a longer form, too
	AttrAnyKernel = "lab.anykernel" // is run on the second kernel, too
	AttrPlanned   = "lab.planned"   // this is where the plan ends: the rest needs the lab
)

// The kernels that a guest may have.
const (
	UML    = "uml"    // user-mode-linux
	Debian = "debian" // Debian's for machines, under qemu
)

// A Scenario is a test that has said what it needs.
type Scenario struct {
	Name      string
	Needs     []string // parts, each once, sorted
	Kernel    string   // UML or Debian
	Exclusive bool
	Long      bool // in the long form only
	Longer    bool // has a longer form
	AnyKernel bool // is run on the second kernel, too
}

// ParsePlan reads what a test binary printed with PlanVariable and -test.v, and returns its scenarios in their order. A
// test that did not say what it needs, or that ran on although it was only planned, is an error with its name; the others
// are returned all the same.
func ParsePlan(output string) ([]Scenario, error) {
	said := make(map[string]*plan)
	at := func(name string) *plan {
		name, _, _ = strings.Cut(name, "/") // what a subtest says, its scenario says
		if said[name] == nil {
			said[name] = &plan{Scenario: Scenario{Name: name, Kernel: UML}}
		}
		return said[name]
	}
	var scenarios []Scenario
	var faults []error
	for line := range strings.Lines(output) {
		line = strings.TrimSuffix(line, "\n")
		if a, ok := parseAttribute(line); ok {
			at(a.test).take(a)
		} else if name, verdict, ok := parseVerdict(line); ok {
			p := at(name)
			if err := p.fault(verdict); err != nil {
				faults = append(faults, err)
			}
			slices.Sort(p.Needs)
			p.Needs = slices.Compact(p.Needs)
			scenarios = append(scenarios, p.Scenario)
		}
	}
	return scenarios, errors.Join(faults...)
}

// plan is a scenario as far as it has been read.
type plan struct {
	Scenario
	needs, planned bool // it declared, and it ended where the lab begins
}

func (p *plan) take(a attribute) {
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
	case AttrLonger:
		p.Longer = true
	case AttrAnyKernel:
		p.AnyKernel = true
	case AttrPlanned:
		p.planned = true
	}
}

func (p *plan) fault(verdict string) error {
	switch {
	case verdict == "FAIL":
		return fmt.Errorf("%s failed while it was planned: what stands before its declarations must not need the lab", p.Name)
	case !p.needs:
		return fmt.Errorf("%s does not say what it needs: begin it with lab.Need(t), and what else concerns it", p.Name)
	case !p.planned:
		return fmt.Errorf("%s says what it needs, but never enters the lab: make its network with lab.New, or call lab.Planned(t)", p.Name)
	}
	return nil
}

// Undeclared lists what a scenario said of itself when it ran and had not said when it was planned: then it was run in a
// place that it may not be fit for, or is missing from a form that it has.
func (s Scenario) Undeclared(ran Scenario) []string {
	var late []string
	for _, need := range ran.Needs {
		if !slices.Contains(s.Needs, need) {
			late = append(late, "lab.Need "+need)
		}
	}
	for _, d := range []struct {
		name    string
		is, was bool
	}{
		{"lab.Exclusive", ran.Exclusive, s.Exclusive},
		{"lab.Long", ran.Long, s.Long},
		{"lab.Longer", ran.Longer, s.Longer},
		{"lab.AnyKernel", ran.AnyKernel, s.AnyKernel},
	} {
		if d.is && !d.was {
			late = append(late, d.name)
		}
	}
	return late
}

// attribute is a line of `go test -v` about an attribute of a test.
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

// parseVerdict reads the line that ends a test, not one of a subtest, which is indented. The verdict is PASS, FAIL or SKIP.
func parseVerdict(line string) (name, verdict string, ok bool) {
	rest, ok := strings.CutPrefix(line, "--- ")
	if !ok {
		return "", "", false
	}
	verdict, name, ok = strings.Cut(rest, ": ")
	name, _, timed := strings.Cut(name, " (")
	return name, verdict, ok && timed && strings.HasSuffix(line, "s)") && slices.Contains([]string{"PASS", "FAIL", "SKIP"}, verdict)
}
