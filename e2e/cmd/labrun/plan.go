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

// planLimit is how long a test binary may take to say what its scenarios need.
const planLimit = time.Minute

// planAll plans all test binaries. longOnly are the scenarios that are left out because the form is the daily one.
func planAll(ctx context.Context, f testFlags, known suite.Durations) (jobs []suite.Job, longOnly []suite.Scenario, err error) {
	var faults []error
	for _, p := range f.programs {
		these, left, err := plan(ctx, p, f.form, f.kernel, known)
		if err != nil {
			faults = append(faults, fmt.Errorf("plan %s: %w", p.Binary, err))
		}
		jobs, longOnly = append(jobs, these...), append(longOnly, left...)
	}
	if len(faults) > 0 {
		return nil, nil, errors.Join(faults...)
	}
	if len(jobs) == 0 {
		return nil, nil, fmt.Errorf("nothing to run of %d test binaries (%d scenarios have a long form only): see -run, -short and -long-only", len(f.programs), len(longOnly))
	}
	return jobs, longOnly, nil
}

func plan(ctx context.Context, p suite.Program, f suite.Form, kernel string, known suite.Durations) (jobs []suite.Job, longOnly []suite.Scenario, err error) {
	top := f.Top
	if top == "" {
		top = "."
	}
	names, err := planned(ctx, p, "-test.list="+top)
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
	output, err := planned(ctx, p, "-test.v=true", "-test.run="+top)
	scenarios, fault := suite.ParsePlan(output)
	if fault != nil {
		err = fmt.Errorf("%w\n%s", fault, complaints(output))
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
		case f.Short && s.Long:
			longOnly = append(longOnly, s)
		}
	}
	return jobs, longOnly, nil
}

// complaints are what a test binary printed while it was planned, without what is as it should be.
func complaints(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		fine := false
		for _, beginning := range []string{"===", "--- SKIP", "--- PASS", suite.Mark} {
			fine = fine || strings.HasPrefix(strings.TrimLeft(line, " "), beginning)
		}
		if !fine {
			b.WriteString(line)
		}
	}
	return strings.TrimSpace(b.String())
}

// planned runs a test binary on this machine in order to plan.
func planned(ctx context.Context, p suite.Program, args ...string) (string, error) {
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

// packageName is the directory of a package, from this one.
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
