package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
)

const (
	// stillFor is a time without CPU that no guest of ours causes: this process looks from outside, with the highest
	// priority that it may have. Scenarios work with adverts every 100 ms and time-outs of some hundred.
	stillFor = 100 * time.Millisecond
	// tries is how often what failed is run in all.
	tries = 3
)

// repeat is boot, again and again while tests fail on a machine that stood still meanwhile: what they measured was the
// machine. Only those that failed are run again, one at a time. A failure on a machine that ran is one.
func repeat(ctx context.Context, o guest.Options, boot runner, watch watcher) (int, error) {
	output := o.Stdout
	for try := 1; ; try++ {
		failed := &failures{to: output}
		o.Stdout = failed
		still := watch()
		code, err := boot(ctx, o)
		count, longest := still()
		if err != nil || code != 1 || len(failed.tests) == 0 || count == 0 || try == tries || ctx.Err() != nil {
			return code, err
		}
		fmt.Fprintf(output, "labrun: this machine stood still meanwhile, %d times, for %s at most; once more: %s\n",
			count, longest.Round(time.Millisecond), strings.Join(failed.tests, " "))
		o.Command = only(o.Command, failed.tests)
	}
}

// runner runs a command in the lab.
type runner func(context.Context, guest.Options) (code int, err error)

// watcher watches the machine until it is asked how often it stood still, and for how long.
type watcher func() (result func() (count int, longest time.Duration))

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

// standstills counts from now on how often this process got no CPU for stillFor, until it is asked.
func standstills() (result func() (count int, longest time.Duration)) {
	const tick = 10 * time.Millisecond
	var enough atomic.Bool
	done := make(chan struct{})
	count, longest := 0, time.Duration(0)
	go func() {
		defer close(done)
		runtime.LockOSThread()                            // never unlocked: the thread, with its priority, ends with the goroutine
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)   // as root
		length := unix.NsecToTimespec(tick.Nanoseconds()) // a timer of the runtime's would wait for its other threads
		for begun := time.Now(); !enough.Load(); begun = time.Now() {
			_ = unix.Nanosleep(&length, nil)
			if late := time.Since(begun) - tick; late >= stillFor {
				count, longest = count+1, max(longest, late)
			}
		}
	}()
	return func() (int, time.Duration) {
		enough.Store(true)
		<-done
		return count, longest
	}
}
