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
	exitHeld   = 0 // every expectation held
	exitBroken = 1 // one did not, or the lab failed
	exitUsage  = 2
)

func main() {
	if code, ok := lab.Role(measure.Roles(), standin.Roles()); ok { // a server or client of the lab: this binary, started again
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout *os.File, stderr io.Writer) int {
	set := flag.NewFlagSet("demo", flag.ContinueOnError)
	set.SetOutput(stderr)
	shell := set.Bool("shell", false, "build the cluster and leave a shell in it")
	ask := set.Bool("ask", false, "inside that shell: pass the arguments to the demo")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitHeld
		}
		return exitUsage
	}
	if *ask {
		return request(set.Args(), stdout, stderr)
	}
	if os.Getenv("LVS_LAB_INSIDE") == "" {
		fmt.Fprintln(stderr, "demo: this is the part that runs in a kernel of its own: start it with `make demo`")
		return exitUsage
	}
	programs, err := findPrograms()
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return exitBroken
	}
	story := newStory(stdout, colours(stdout))
	return perform(story, func(s *stage) {
		if *shell {
			openShell(s, story, programs)
			return
		}
		play(s, story, programs)
	})
}

// perform gives the body a stage, and clears the stage on every way out: the end, a failure of the lab, a signal.
func perform(story *story, body func(*stage)) int {
	s := &stage{story: story}
	ended := make(chan struct{})
	go func() {
		defer close(ended) // also on runtime.Goexit, which is how Fatalf ends the show
		body(s)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	select {
	case <-ended:
	case got := <-stop:
		s.clear()
		return 128 + int(got.(syscall.Signal))
	}
	s.clear()
	if s.Failed() {
		return exitBroken
	}
	return exitHeld
}

// programs is the directory of the binaries that are shown.
type programs string

func (p programs) path(name string) string { return filepath.Join(string(p), name) }

// findPrograms looks where `make build` puts them: beside the demo, or in $LVS_BIN.
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
