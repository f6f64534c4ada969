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
	// quitGrace is how long a process may take to print its goroutines after SIGQUIT.
	quitGrace = 20 * time.Second
	// killGrace is how long a killed process may take to exit.
	killGrace = 20 * time.Second
)

// Run reads orders from in until EOF and writes messages to out. After an error, the guest must not be used any more.
func Run(in io.Reader, out io.Writer) error { return worker{inspect, 5 * time.Second}.run(in, out) }

// worker runs jobs. Tests replace inspect, because other processes come and go on their machine.
type worker struct {
	inspect func() (state, error)
	// grace is how long processes that are about to exit may take after the job has ended.
	grace time.Duration
}

func (w worker) run(in io.Reader, out io.Writer) error {
	messages := json.NewEncoder(out)
	if err := messages.Encode(suite.Message{Ready: true}); err != nil {
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
		ended := w.perform(o, output{messages})
		if err := messages.Encode(suite.Message{Ended: &ended}); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		if ended.Error != "" {
			return errors.New("worker: " + ended.Error)
		}
	}
}

// output sends a job's output as messages.
type output struct{ to *json.Encoder }

func (o output) Write(p []byte) (int, error) { return len(p), o.to.Encode(suite.Message{Output: p}) }

// perform runs the job of an order and finds what it left behind.
func (w worker) perform(o suite.Order, out io.Writer) suite.Ended {
	temporary, err := os.MkdirTemp("", "")
	if err == nil {
		err = os.Chmod(temporary, 0o777|os.ModeSticky) // like /tmp, because jobs start programs as other users
	}
	if err != nil {
		return suite.Ended{Code: -1, Error: fmt.Sprintf("create a directory for temporary files: %v", err)}
	}
	before, err := w.inspect()
	if err != nil {
		return suite.Ended{Code: -1, Error: fmt.Sprintf("inspect the guest: %v", err)}
	}
	begun := time.Now()
	ended := execute(o, temporary, out)
	ended.Took = time.Since(begun)
	if ended.Error != "" {
		return ended
	}
	left, err := w.leftSince(before, o.Exclusive)
	if err != nil {
		ended.Error = fmt.Sprintf("inspect the guest: %v", err)
	}
	ended.Left = left
	if err := os.RemoveAll(temporary); err != nil && len(left) == 0 {
		ended.Left = append(ended.Left, err.Error())
	}
	return ended
}

// execute runs the process until it exits, at most for the limit plus quitGrace and killGrace.
func execute(o suite.Order, temporary string, out io.Writer) suite.Ended {
	ctx, cancel := context.WithTimeout(context.Background(), o.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.Binary, o.Args...)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "PWD="+filepath.Clean(o.Dir))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // the runtime prints every goroutine
	cmd.WaitDelay = quitGrace                                                // then it is killed; also how long other processes may keep its output open
	if err := cmd.Start(); err != nil {
		return suite.Ended{Code: -1, Error: fmt.Sprintf("start %s: %v", o.Binary, err)}
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	stuck := time.NewTimer(o.Limit + quitGrace + killGrace)
	defer stuck.Stop()
	select {
	case <-stuck.C:
		return suite.Ended{Code: -1, Overtime: true, Error: fmt.Sprintf("process %d was killed %s after its start but has not exited", cmd.Process.Pid, o.Limit)}
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
