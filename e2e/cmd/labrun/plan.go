package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/suite"
)

// planLimit is how long a test binary may take to declare what its scenarios need.
const planLimit = time.Minute

// planAll plans all test binaries. longOnly are the scenarios that are not run because they have no daily form.
func planAll(ctx context.Context, f testFlags, known suite.Durations) (jobs []suite.Job, longOnly []suite.Scenario, err error) {
	var errs []error
	for _, p := range f.programs {
		planned, omitted, err := plan(ctx, p, f.form, f.kernel, known)
		if err != nil {
			errs = append(errs, fmt.Errorf("plan %s: %w", p.Binary, err))
		}
		jobs, longOnly = append(jobs, planned...), append(longOnly, omitted...)
	}
	if len(errs) > 0 {
		return nil, nil, errors.Join(errs...)
	}
	if len(jobs) == 0 {
		return nil, nil, fmt.Errorf("nothing to run in %d test binaries (%d scenarios only have a long form): check -run, -short and -long-only", len(f.programs), len(longOnly))
	}
	return jobs, longOnly, nil
}

func plan(ctx context.Context, p suite.Program, f suite.Form, kernel string, known suite.Durations) (jobs []suite.Job, longOnly []suite.Scenario, err error) {
	top := f.Tests
	if top == "" {
		top = "."
	}
	names, err := runPlanning(ctx, p, "-test.list="+top)
	if err != nil {
		return nil, nil, err
	}
	listed := strings.Fields(names)
	if !strings.Contains("\n"+names, "\n"+suite.Mark+"\n") {
		if len(listed) == 0 {
			return nil, nil, nil
		}
		return []suite.Job{f.Whole(p, packageName(p), known)}, nil, nil
	}
	output, err := runPlanning(ctx, p, "-test.v=true", "-test.run="+top)
	scenarios, parseErr := suite.ParsePlan(output)
	if parseErr != nil {
		err = fmt.Errorf("%w\n%s", parseErr, unexpected(output))
	}
	if err != nil {
		return nil, nil, err
	}
	for _, s := range scenarios {
		runs := f.Runs(s)
		if kernel != "" {
			s.Kernel = kernel
		}
		switch {
		case runs:
			jobs = append(jobs, f.Job(p, s, known))
		case f.Short && s.Long && !s.Bench:
			longOnly = append(longOnly, s)
		}
	}
	return jobs, longOnly, nil
}

// unexpected returns the output of a test binary while it was planned, without the lines that are expected.
func unexpected(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		expected := false
		for _, prefix := range []string{"===", "--- SKIP", "--- PASS", suite.Mark} {
			expected = expected || strings.HasPrefix(strings.TrimLeft(line, " "), prefix)
		}
		if !expected {
			b.WriteString(line)
		}
	}
	return strings.TrimSpace(b.String())
}

// runPlanning runs a test binary on this machine with PlanVariable set.
func runPlanning(ctx context.Context, p suite.Program, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, planLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Binary, args...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), suite.PlanVariable+"=1")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out), nil
}

// packageName returns the directory of a package, relative to the working directory if it is below that.
func packageName(p suite.Program) string {
	here, err := os.Getwd()
	if err != nil {
		return p.Dir
	}
	if name, err := filepath.Rel(here, p.Dir); err == nil && filepath.IsLocal(name) {
		return name
	}
	return p.Dir
}
