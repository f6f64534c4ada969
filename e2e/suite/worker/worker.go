package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/e2e/suite"
)

const (
	// lastWords is how long a process may take to show its goroutines.
	lastWords = 20 * time.Second
	// death is how long a killed process may take to be gone.
	death = 20 * time.Second
)

// Run takes orders from in until its end and answers on out. An error means that the guest is of no use any more.
func Run(in io.Reader, out io.Writer) error { return worker{look, 5 * time.Second}.run(in, out) }

// worker has its eyes apart, for tests on a machine where other things go on.
type worker struct {
	look func() (state, error)
	// patience is how long a process that was killed, or that ends by itself, may take after the job.
	patience time.Duration
}

func (w worker) run(in io.Reader, out io.Writer) error {
	answers := json.NewEncoder(out)
	if err := answers.Encode(suite.Message{Ready: true}); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	orders := json.NewDecoder(in)
	for {
		var o suite.Order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("worker: read an order: %w", err)
		}
		ended := w.perform(o, output{answers})
		if err := answers.Encode(suite.Message{Ended: &ended}); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		if ended.Trouble != "" {
			return errors.New("worker: " + ended.Trouble)
		}
	}
}

// output sends what a job prints.
type output struct{ to *json.Encoder }

func (o output) Write(p []byte) (int, error) { return len(p), o.to.Encode(suite.Message{Output: p}) }

// perform runs the job of an order and looks for what it left.
func (w worker) perform(o suite.Order, out io.Writer) suite.Ended {
	temporary, err := os.MkdirTemp("", "")
	if err == nil {
		err = os.Chmod(temporary, 0o777|os.ModeSticky) // as /tmp: jobs start programs as other users
	}
	if err != nil {
		return suite.Ended{Code: -1, Trouble: fmt.Sprintf("no directory for temporary files: %v", err)}
	}
	before, err := w.look()
	if err != nil {
		return suite.Ended{Code: -1, Trouble: fmt.Sprintf("look at the guest: %v", err)}
	}
	begun := time.Now()
	ended := execute(o, temporary, out)
	ended.Took = time.Since(begun)
	if ended.Trouble != "" {
		return ended
	}
	left, err := w.leftSince(before, o.Spoils)
	if err != nil {
		ended.Trouble = fmt.Sprintf("look at the guest: %v", err)
	}
	ended.Left = left
	if err := os.RemoveAll(temporary); err != nil && len(left) == 0 {
		ended.Left = append(ended.Left, err.Error())
	}
	return ended
}

// execute runs the process until it ends, and at most for the limit and what it takes to end it.
func execute(o suite.Order, temporary string, out io.Writer) suite.Ended {
	ctx, cancel := context.WithTimeout(context.Background(), o.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.Binary, o.Args...)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "PWD="+filepath.Clean(o.Dir))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // the runtime prints every goroutine
	cmd.WaitDelay = lastWords                                                // then it is killed; also the time for which others may hold its output open
	if err := cmd.Start(); err != nil {
		return suite.Ended{Code: -1, Trouble: fmt.Sprintf("start %s: %v", o.Binary, err)}
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	stuck := time.NewTimer(o.Limit + lastWords + death)
	defer stuck.Stop()
	select {
	case <-stuck.C:
		return suite.Ended{Code: -1, Overtime: true, Trouble: fmt.Sprintf("process %d was killed %s after its start and is still there", cmd.Process.Pid, o.Limit)}
	case err := <-done:
		return suite.Ended{Code: code(cmd.ProcessState, err), Overtime: ctx.Err() != nil}
	}
}

func code(s *os.ProcessState, err error) int {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	if c := s.ExitCode(); c != 0 || err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return c
	}
	return 1
}
