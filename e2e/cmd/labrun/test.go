package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
	"github.com/lvs-director/lvs-director/e2e/suite"
	"github.com/lvs-director/lvs-director/internal/require"
)

// testFlags are the command-line flags of `labrun test`.
type testFlags struct {
	form     suite.Form
	kernel   string // "" = the one that each scenario needs
	guests   int
	memory   int
	speed    int
	hurry    int
	limit    time.Duration // for one scenario, by the guest's clock
	budget   time.Duration
	begun    int64 // start of what the budget is for, in Unix seconds; 0 = now
	out      string
	list     bool
	verbose  bool
	programs []suite.Program
}

const testUsage = `labrun test [flag …] BINARY[=DIR] …

Plans the scenarios of test binaries and runs them in guests. Test binaries without scenarios run as a whole. DIR is
where go test would run the binary; the default is the working directory.

`

func parseTest(args []string, usage io.Writer) (testFlags, error) {
	var f testFlags
	set := flag.NewFlagSet("labrun test", flag.ContinueOnError)
	set.SetOutput(usage)
	set.Usage = func() {
		fmt.Fprint(usage, testUsage)
		set.PrintDefaults()
	}
	set.BoolVar(&f.form.Short, "short", false, "run the daily form, as go test -short; otherwise the long form")
	set.BoolVar(&f.form.LongOnly, "long-only", false, "run only scenarios whose long form differs from the daily form")
	set.StringVar(&f.kernel, "kernel", "", "run all scenarios on this `kernel`, uml or debian; by default uml, or the kernel that a scenario needs")
	set.BoolVar(&f.form.Second, "second", false, "run only the scenarios for the second kernel, on that kernel")
	set.BoolVar(&f.form.Bench, "bench", false, "run only the benchmarks, which no other form includes")
	run := set.String("run", "", "run only tests that match this regular `expression`, as go test -run")
	set.IntVar(&f.guests, "guests", 0, "`number` of guests at a time; 0 = as many as this machine can run")
	set.IntVar(&f.memory, "mem", guest.DefaultMemory, "memory of a guest in `MiB`")
	set.IntVar(&f.speed, "speed", 1, "make the guest's CPU appear `N` times as fast to the guest")
	set.IntVar(&f.hurry, "hurry", 1, "make guest time pass `N` times as fast while the guest sleeps")
	set.DurationVar(&f.limit, "limit", 0, "`time` that a scenario may take by the guest's clock; 0 = 5m in the daily form, 30m in the long one")
	set.DurationVar(&f.budget, "budget", 0, "`time` that the run should take at most, for the summary; 0 = none")
	set.Int64Var(&f.begun, "begun", 0, "start of the budget in Unix `seconds`; 0 = now")
	set.StringVar(&f.out, "out", os.Getenv("LVS_LAB_OUT"), "`directory` for the evidence of failed scenarios")
	set.BoolVar(&f.list, "list", false, "only print what would be run")
	set.BoolVar(&f.verbose, "v", false, "also print the output of what passed")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if err := f.check(); err != nil {
		return f, err
	}
	if f.form.Second {
		f.kernel = suite.Debian
	}
	if f.limit == 0 {
		f.limit = map[bool]time.Duration{true: 5 * time.Minute, false: 30 * time.Minute}[f.form.Short]
	}
	f.form.Select(*run)
	for _, expression := range []string{f.form.Tests, f.form.Subtests} {
		if _, err := regexp.Compile(expression); err != nil {
			return f, fmt.Errorf("-run %s: %w", *run, err)
		}
	}
	if set.NArg() == 0 {
		return f, errors.New("no test binary: name one, built with go test -c")
	}
	for _, arg := range set.Args() {
		p, err := parseProgram(arg)
		if err != nil {
			return f, err
		}
		f.programs = append(f.programs, p)
	}
	return f, nil
}

// check returns an error if the flags contradict each other.
func (f testFlags) check() error {
	switch {
	case f.form.Short && f.form.LongOnly:
		return errors.New("-short and -long-only exclude each other: use one of them")
	case f.form.Bench && (f.form.Short || f.form.LongOnly):
		return errors.New("benchmarks have one form: omit -short and -long-only")
	case f.kernel != "" && f.kernel != suite.UML && f.kernel != suite.Debian:
		return fmt.Errorf("unknown -kernel %s: use %s or %s", f.kernel, suite.UML, suite.Debian)
	case f.form.Second && f.kernel == suite.UML:
		return errors.New("-second runs scenarios on the second kernel: omit -kernel uml")
	case f.guests < 0 || f.limit < 0 || f.budget < 0:
		return errors.New("-guests, -limit and -budget must not be negative")
	}
	return nil
}

// binaries returns the paths of the test binaries.
func (f testFlags) binaries() []string {
	var paths []string
	for _, p := range f.programs {
		paths = append(paths, p.Binary)
	}
	return paths
}

func parseProgram(arg string) (suite.Program, error) {
	binary, dir, _ := strings.Cut(arg, "=")
	var p suite.Program
	var err1, err2 error
	p.Binary, err1 = filepath.Abs(binary)
	p.Dir, err2 = filepath.Abs(dir)
	return p, errors.Join(err1, err2)
}

// runTests is `labrun test`. The exit code is 1 if a test failed.
func runTests(ctx context.Context, args []string) (int, error) {
	begun := time.Now()
	f, err := parseTest(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if os.Getenv("LVS_LAB") == "host" {
		return 0, errors.New("LVS_LAB=host: scenarios only run in guests: unset it, or run one on this machine with labrun BINARY -test.run NAME")
	}
	cache, err := guest.DefaultCache()
	if err != nil {
		return 0, err
	}
	memory := memoryAvailable()
	history := history{filepath.Join(cache.Dir, "durations.json")}
	known := history.load(os.Stderr)
	jobs, longOnly, err := planAll(ctx, f, known)
	if err != nil {
		return 0, err
	}
	if f.guests == 0 {
		f.guests = suite.Capacity(runtime.GOMAXPROCS(0), memory, f.memory)
	}
	f.guests = min(f.guests, len(jobs))
	describe(os.Stdout, f, jobs, longOnly)
	if f.list {
		list(os.Stdout, jobs)
		return 0, nil
	}
	b := booter{flags: f, env: requireAll(passed(os.Environ()))}
	if err := b.fetch(ctx, cache, jobs); err != nil {
		return 0, err
	}
	if f.out != "" {
		if err := os.MkdirAll(f.out, 0o755); err != nil {
			return 0, err
		}
	}
	report := &suite.Report{To: os.Stdout, Verbose: f.verbose}
	p := &pool{queue: suite.NewQueue(jobs), report: report, boot: b.boot, limit: f.limit}
	err = p.run(ctx, f.guests)
	history.save(os.Stderr, f.form, report.Outcomes)
	used := time.Since(begun)
	if f.begun > 0 {
		used = time.Since(time.Unix(f.begun, 0))
	}
	report.Close(suite.Summary{Elapsed: time.Since(begun), Guests: f.guests, Used: used, Budget: f.budget, NotRun: notRun(jobs, report.Outcomes)})
	if err == nil && report.Tally().Failed > 0 {
		return 1, nil
	}
	return 0, err
}

// needs reports whether a job runs on the kernel.
func needs(jobs []suite.Job, kernel string) bool {
	return slices.ContainsFunc(jobs, func(j suite.Job) bool { return j.Kernel == kernel })
}

// requireAll sets LVS_REQUIRE=all, because a guest must have all parts, whatever the caller requires of this machine.
func requireAll(env []string) []string {
	env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, require.Variable+"=") })
	return append(env, require.Variable+"="+require.All)
}

func describe(w io.Writer, f testFlags, jobs []suite.Job, longOnly []suite.Scenario) {
	scenarios := 0
	for _, j := range jobs {
		if j.Scenario != nil {
			scenarios++
		}
	}
	fmt.Fprintf(w, "%d scenarios and %d packages in the %s form, in %d guests at a time\n", scenarios, len(jobs)-scenarios, f.form, f.guests)
	if len(longOnly) > 0 {
		fmt.Fprint(w, "only in the long form:")
		for _, s := range longOnly {
			fmt.Fprint(w, " ", s.Name)
		}
		fmt.Fprintln(w)
	}
}

// list prints jobs in the order in which guests would take them.
func list(w io.Writer, jobs []suite.Job) {
	q := suite.NewQueue(jobs)
	for {
		j, _, ok := q.Next(suite.Guest{})
		if !ok {
			return
		}
		line := fmt.Sprintf("%-36s %6.1f s  %s", j.Name, j.Expected.Seconds(), j.Kernel)
		if j.Exclusive {
			line += " exclusive"
		}
		if s := j.Scenario; s != nil {
			line += map[bool]string{true: " long"}[s.Long] + map[bool]string{true: " longer"}[s.Longer]
			line += "  " + strings.Join(s.Needs, " ")
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func notRun(jobs []suite.Job, outcomes []suite.Outcome) (left []suite.Job) {
	ran := make(map[[2]string]bool)
	for _, o := range outcomes {
		ran[[2]string{o.Job.Binary, o.Job.Name}] = true
	}
	for _, j := range jobs {
		if !ran[[2]string{j.Binary, j.Name}] {
			left = append(left, j)
		}
	}
	return left
}
