package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// guardMarker is an environment variable, set by startUML and startQemu, that tells a program that it is the guard
	// of a guest.
	guardMarker = "LVS_LAB_GUARD"
	// guardOneCPU is the value for user-mode-linux, which is pinned to one CPU of the host.
	guardOneCPU = "one CPU"
	// guardAnyCPU is the value for an emulator, which may use all CPUs and gets fdInitramfs.
	guardAnyCPU = "any CPU"

	// File descriptors that the guard inherits in addition to standard input, output and error.
	fdFromHost  = 3 // frames to the guest
	fdToHost    = 4 // frames from the guest
	fdLifeline  = 5 // pipe whose write end the runner has; EOF = the runner is done, or dead
	fdInitramfs = 6 // initramfs of a Stock kernel; absent for user-mode-linux
)

// Play runs a guest's first process, or its guard on the host, if this process was started as one of them, and reports
// whether it was. main calls it before anything else, and returns if it reports true.
func Play() bool {
	var err error
	switch {
	case os.Getpid() == 1 && os.Getenv(initMarker) != "":
		err = runInit()
	case os.Getenv(guardMarker) != "":
		err = runGuard(os.Args[1:])
	default:
		return false
	}
	if err != nil {
		// The runner captures this with the kernel's console output.
		fmt.Fprintln(os.Stderr, "lab guest:", err)
	}
	return true
}

// runGuard starts the guest kernel, and kills all its processes as soon as the kernel or the runner is gone.
// user-mode-linux runs each guest process in a process of the host, and those survive a kernel that is killed. The
// runner cannot do this in a signal handler because it may be killed itself.
func runGuard(kernel []string) error {
	if len(kernel) == 0 {
		return errors.New("guard: no kernel named")
	}
	// The kernel must not inherit the lifeline.
	unix.CloseOnExec(fdLifeline)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("guard: become subreaper: %w", err)
	}
	oneCPU := os.Getenv(guardMarker) == guardOneCPU
	if err := os.Unsetenv(guardMarker); err != nil {
		return err
	}
	cmd := exec.Command(kernel[0], kernel[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{os.NewFile(fdFromHost, "from host"), os.NewFile(fdToHost, "to host")}
	if !oneCPU {
		cmd.ExtraFiles = append(cmd.ExtraFiles, nil, os.NewFile(fdInitramfs, "initramfs"))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// PDEATHSIG is sent when the parent thread ends (prctl(2)).
	runtime.LockOSThread()
	if oneCPU {
		if cpu := pinToOneCPU(); cpu != nil {
			defer cpu.Close()
		}
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	group := -cmd.Process.Pid
	var ours atomic.Bool
	go func() {
		lifeline := os.NewFile(fdLifeline, "lifeline")
		_, _ = lifeline.Read(make([]byte, 1)) // returns at EOF: nothing is ever written
		ours.Store(true)
		_ = unix.Kill(group, unix.SIGKILL)
	}()
	if code := reapUntil(cmd.Process.Pid); code > 128 && !ours.Load() {
		fmt.Fprintln(os.Stderr, killedBySignal, code-128) // the runner captures this with the kernel's console output
	}
	_ = unix.Kill(group, unix.SIGKILL) // ESRCH: no process is left
	reapAll()
	return nil
}

// reapAll waits until there are no more children.
func reapAll() {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
