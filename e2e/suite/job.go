package suite

import (
	"path/filepath"
	"strings"
	"time"
)

// A Job is what a guest runs in one process: a scenario or all tests of a package.
type Job struct {
	Name      string // name of the scenario, or directory of the package
	Binary    string // absolute path
	Dir       string // absolute path; where `go test` would run it
	Args      []string
	Kernel    string
	Exclusive bool          // needs a guest in which nothing ran before, and nothing runs afterwards
	Scenario  *Scenario     // nil = all tests of a package
	Expected  time.Duration // by the machine's clock; 0 = unknown
}

// A Form selects the scenarios to run, and whether in their daily or long form.
type Form struct {
	Short    bool   // the daily form, as `go test -short`; otherwise the long form
	LongOnly bool   // of the long form, only the scenarios that differ from the daily form and are not for releases
	Second   bool   // only scenarios for the second kernel: those that need it, and those that declare AnyKernel
	Bench    bool   // only benchmarks, which are in no other form
	Tests    string // regular expression for the names of tests; "" = all
	Subtests string // the same for subtests, with a leading slash; "" = all
}

// Runs reports whether this form includes the scenario.
func (f Form) Runs(s Scenario) bool {
	if s.Bench != f.Bench {
		return false
	}
	if f.Second && s.Kernel != Debian && !s.AnyKernel {
		return false
	}
	if f.Short {
		return !s.Long
	}
	return !f.LongOnly || (s.Long || s.Longer) && !s.Release
}

func (f Form) String() string {
	if f.Short {
		return "daily"
	}
	return "long"
}

// Select sets Tests and Subtests from a regular expression for -test.run.
func (f *Form) Select(run string) {
	top, rest, found := strings.Cut(run, "/")
	f.Tests, f.Subtests = top, ""
	if found {
		f.Subtests = "/" + rest
	}
}

// A Program is a test binary and the directory that it runs in, both absolute.
type Program struct{ Binary, Dir string }

// Job returns the job that runs one scenario of a test binary.
func (f Form) Job(p Program, s Scenario, d Durations) Job {
	j := Job{
		Name: s.Name, Binary: p.Binary, Dir: p.Dir, Kernel: s.Kernel, Exclusive: s.Exclusive, Scenario: &s,
		Args: f.args("^" + s.Name + "$" + f.Subtests),
	}
	j.Expected = d[j.Key(f)]
	return j
}

// Whole returns the job that runs all tests of a package, exclusively, because those tests may do anything to their
// guest.
func (f Form) Whole(p Program, name string, d Durations) Job {
	j := Job{Name: name, Binary: p.Binary, Dir: p.Dir, Kernel: UML, Exclusive: true, Args: f.args(f.Tests + f.Subtests)}
	j.Expected = d[j.Key(f)]
	return j
}

func (f Form) args(run string) []string {
	args := []string{"-test.v=true"} // the Transcript counts its lines
	if run != "" {
		args = append(args, "-test.run="+run)
	}
	if f.Short {
		args = append(args, "-test.short=true")
	}
	return args
}

// Key is the job's key in Durations.
func (j Job) Key(f Form) string {
	return strings.Join([]string{filepath.Base(j.Binary), j.Name, f.String(), j.Kernel}, " ")
}
