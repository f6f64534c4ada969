package suite

import (
	"path/filepath"
	"strings"
	"time"
)

// A Job is what a guest runs in one process: a scenario, or all tests of a package.
type Job struct {
	Name      string // of the scenario, or of the package's directory
	Binary    string // absolute
	Dir       string // absolute; where `go test` would run it
	Args      []string
	Kernel    string
	Exclusive bool          // a guest that nothing ran in before, and nothing runs in afterwards
	Scenario  *Scenario     // nil = all tests of a package
	Expected  time.Duration // by the machine's clock; 0 = unknown
}

// A Form is which of the scenarios are run, and how long they take.
type Form struct {
	Short    bool   // the daily form, as `go test -short`; else the long one
	LongOnly bool   // of the long form, only what the daily one has not run, or not at that length
	Second   bool   // only what the second kernel is to run: those that need it, and those that say AnyKernel
	Top      string // regular expression for the name of a test; "" = all
	Rest     string // for its subtests, with a slash at the beginning; "" = all
}

// Runs reports whether a scenario has something to run in this form.
func (f Form) Runs(s Scenario) bool {
	if f.Second && s.Kernel != Debian && !s.AnyKernel {
		return false
	}
	if f.Short {
		return !s.Long
	}
	return !f.LongOnly || s.Long || s.Longer
}

func (f Form) String() string {
	if f.Short {
		return "daily"
	}
	return "long"
}

// Select splits a regular expression as -test.run has it into its parts for tests and for their subtests.
func (f *Form) Select(run string) {
	top, rest, found := strings.Cut(run, "/")
	f.Top, f.Rest = top, ""
	if found {
		f.Rest = "/" + rest
	}
}

// A Program is a test binary and the directory that it runs in, both absolute.
type Program struct{ Binary, Dir string }

// Job is the scenario as a job of its test binary.
func (f Form) Job(p Program, s Scenario, d Durations) Job {
	j := Job{
		Name: s.Name, Binary: p.Binary, Dir: p.Dir, Kernel: s.Kernel, Exclusive: s.Exclusive, Scenario: &s,
		Args: f.args("^" + s.Name + "$" + f.Rest),
	}
	j.Expected = d[j.Key(f)]
	return j
}

// Whole is a package as a job: all its tests, in a guest of its own, for they may do there what they like.
func (f Form) Whole(p Program, name string, d Durations) Job {
	j := Job{Name: name, Binary: p.Binary, Dir: p.Dir, Kernel: UML, Exclusive: true, Args: f.args(f.Top + f.Rest)}
	j.Expected = d[j.Key(f)]
	return j
}

func (f Form) args(run string) []string {
	args := []string{"-test.v=true"} // its lines are what is counted
	if run != "" {
		args = append(args, "-test.run="+run)
	}
	if f.Short {
		args = append(args, "-test.short=true")
	}
	return args
}

// Key is the name of the job among the Durations.
func (j Job) Key(f Form) string {
	return strings.Join([]string{filepath.Base(j.Binary), j.Name, f.String(), j.Kernel}, " ")
}
