package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// trampoline is the name (argv[0]) of the process that becomes a command.
	trampoline = "lvs-director: starts a command"
	// failureFD is the descriptor to which it writes why it cannot become the command.
	failureFD = 3
	// cannotRun is its exit status then, as that of a shell.
	cannotRun = 127
	// noPriority is the largest value of oom_score_adj and nice that is inherited from a daemon that protects itself.
	noPriority = 0
)

// Main becomes the command for which Runner has started this process. In all other processes it returns at once. The main
// function of a program that uses Runner must call it first.
func Main() {
	if len(os.Args) != 2 || os.Args[0] != trampoline {
		return
	}
	runtime.LockOSThread() // the priority is that of the thread
	report := os.NewFile(failureFD, "failure")
	closeOnExec()
	var c Command
	err := json.Unmarshal([]byte(os.Args[1]), &c)
	if err == nil {
		err = become(c)
	}
	_, _ = report.WriteString(err.Error())
	os.Exit(cannotRun)
}

// become replaces this process by the command. It returns only with an error.
func become(c Command) error {
	if len(c.Argv) == 0 {
		return errors.New("there is no program")
	}
	as, err := lookUp(c)
	if err != nil {
		return err
	}
	program := c.Argv[0]
	if as.uid == 0 {
		if err := trusted(program); err != nil {
			return err
		}
	}
	ordinary()
	if err := as.assume(); err != nil {
		return err
	}
	if c.Attempt {
		if err := executable(program); err != nil {
			return explain(program, as, err)
		}
		os.Exit(0)
	}
	unix.Umask(0o022)
	err = syscall.Exec(program, c.Argv, append(as.environment(), c.Env...))
	return explain(program, as, err)
}

// closeOnExec keeps all descriptors but the first three from the command: the daemon's own are closed anyway, but it may
// have inherited some.
func closeOnExec() {
	if unix.CloseRange(failureFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil { // since Linux 5.11
		return
	}
	open, _ := os.ReadDir("/proc/self/fd")
	for _, one := range open {
		if fd, err := strconv.Atoi(one.Name()); err == nil && fd >= failureFD {
			unix.CloseOnExec(fd)
		}
	}
}

// ordinary gives up the priority of the daemon: a command must not delay the election, and is no reason to kill another
// process when memory is short.
func ordinary() {
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && 20-nice < noPriority { // as the system call returns it
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, noPriority)
	}
	if b, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil && strings.HasPrefix(string(b), "-") {
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte("0"), 0)
	}
}

// explain returns the error of execve with its remedy.
func explain(program string, as identity, err error) error {
	info, stat := os.Stat(program)
	switch {
	case errors.Is(err, syscall.ENOENT) && stat == nil:
		return fmt.Errorf("the interpreter in the first line of %s does not exist: correct the line", program)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s does not exist: install it, or correct the cluster file", program)
	case errors.Is(err, syscall.EACCES) && stat == nil && info.IsDir():
		return fmt.Errorf("%s is a directory: name the program in it", program)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("user %s may not execute %s: chmod a+rx %s and the directories above it, or set user; it must not be on a file system mounted with noexec", as.name, program, program)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s is no program for this machine, and no script with an interpreter in its first line: begin it with #!/bin/sh", program)
	default:
		return fmt.Errorf("%s: %w", program, err)
	}
}
