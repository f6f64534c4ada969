package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// Exit codes of the demo.
const (
	exitMet    = 0 // every expectation was met
	exitFailed = 1 // an expectation was not met, or the lab failed
	exitUsage  = 2
)

func main() {
	if code, ok := lab.Role(measure.Roles(), standin.Roles()); ok { // re-executed as a server or client of the lab
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout *os.File, stderr io.Writer) int {
	set := flag.NewFlagSet("demo", flag.ContinueOnError)
	set.SetOutput(stderr)
	shell := set.Bool("shell", false, "build the cluster and open a shell in it")
	ask := set.Bool("ask", false, "inside that shell: send the arguments to the demo")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitMet
		}
		return exitUsage
	}
	if *ask {
		return request(set.Args(), stdout, stderr)
	}
	if os.Getenv("LVS_LAB_INSIDE") == "" {
		fmt.Fprintln(stderr, "demo: this program only runs inside the lab's kernel: start it with `make demo`")
		return exitUsage
	}
	programs, err := findPrograms()
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return exitFailed
	}
	timeline := newTimeline(stdout, colours(stdout))
	return runLab(timeline, func(s *labT) {
		if *shell {
			openShell(s, timeline, programs)
			return
		}
		runDemo(s, timeline, programs)
	})
}

// runLab runs body with a lab.T, and runs its cleanups at the end, after a failure of the lab, and on a signal.
func runLab(timeline *timeline, body func(*labT)) int {
	s := &labT{timeline: timeline}
	ended := make(chan struct{})
	go func() {
		defer close(ended) // also on runtime.Goexit, with which Fatalf ends the goroutine
		body(s)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	select {
	case <-ended:
	case got := <-stop:
		s.cleanup()
		return 128 + int(got.(syscall.Signal))
	}
	s.cleanup()
	if s.Failed() {
		return exitFailed
	}
	return exitMet
}

// programs is the directory of the product's programs.
type programs string

func (p programs) path(name string) string { return filepath.Join(string(p), name) }

// findPrograms returns $LVS_BIN, or if that is unset the demo's own directory, where `make build` puts the programs.
func findPrograms() (programs, error) {
	dir := os.Getenv("LVS_BIN")
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		dir = filepath.Dir(self)
	}
	for _, name := range []string{"lvs-director", "lvs-realserver", "lvsctl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%w: build it first (make build)", err)
		}
	}
	return programs(dir), nil
}
