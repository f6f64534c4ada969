package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
)

const (
	// tries is how often what failed is run in all.
	tries = 4
	// quiet is how long a machine must have run without being away before what failed is run again.
	quiet = 5 * time.Second
	// patience is how long that is waited for at most: the worst machine makes a run longer by (tries - 1) * patience.
	patience = 2 * time.Minute
)

// repeat is boot, again and again while tests fail on a machine that was taken away meanwhile: what they measured was the
// machine. Only those that failed are run again, one at a time, and when the machine is back. A failure on a machine that
// ran is one.
func repeat(ctx context.Context, o guest.Options, boot runner, watch watcher) (int, error) {
	output := o.Stdout
	for try := 1; ; try++ {
		failed := &failures{to: output}
		o.Stdout = failed
		var left guest.LeftOut
		o.LeftOut = &left
		seen := watch()
		code, err := boot(ctx, o)
		away := seen()
		if code != 0 {
			fmt.Fprintf(output, "labrun: run %d of %d at most; this machine %s meanwhile; the guest's clock left out %s\n", try, tries, away, left)
		}
		if err != nil || code != 1 || len(failed.tests) == 0 || !away.felt() || try == tries || ctx.Err() != nil {
			return code, err
		}
		waited := settle(ctx, watch)
		fmt.Fprintf(output, "labrun: once more, for that was the machine; %s later: %s\n", waited, strings.Join(failed.tests, " "))
		o.Command = only(o.Command, failed.tests)
	}
}

// settle waits until the machine has been quiet, or patience is at an end, and says for how long.
func settle(ctx context.Context, watch watcher) time.Duration {
	begun := time.Now()
	for time.Since(begun) < patience && ctx.Err() == nil {
		seen := watch()
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
		}
		if !seen().felt() {
			break
		}
	}
	return time.Since(begun).Round(time.Second)
}

// runner runs a command in the lab.
type runner func(context.Context, guest.Options) (code int, err error)

// watcher watches the machine until it is asked how long that was away.
type watcher func() (result func() absence)

// only is the command line of a test binary for some of its tests, one at a time.
func only(command, tests []string) []string {
	kept := slices.DeleteFunc(slices.Clone(command), func(arg string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return strings.HasPrefix(arg, "-") && slices.Contains([]string{"test.run", "test.skip", "test.parallel"}, name)
	})
	// A value of its own, as in "-test.run X", has lost its flag.
	for i := 1; i < len(kept); i++ {
		if !strings.HasPrefix(kept[i], "-") {
			kept = slices.Delete(kept, i, i+1)
			i--
		}
	}
	return append(kept, "-test.run=^("+strings.Join(tests, "|")+")$", "-test.parallel=1")
}

// failures passes on what a test binary prints, and gathers the tests that failed.
type failures struct {
	to    io.Writer
	line  []byte // the beginning of one that has not ended
	tests []string
}

func (f *failures) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if len(f.line) < 1<<10 { // names are short
			f.line = append(f.line, line...)
		}
		if !ended {
			break
		}
		if name, found := strings.CutPrefix(string(f.line), "--- FAIL: "); found {
			name, _, _ = strings.Cut(name, " ")
			f.tests = append(f.tests, name)
		}
		f.line, rest = f.line[:0], after
	}
	return f.to.Write(p)
}
