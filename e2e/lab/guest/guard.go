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
	// guardMarker is set by startMachine, so that a program knows that it was
	// started to guard a guest.
	guardMarker = "LVS_LAB_GUARD"
	// guardOneCPU is its value for user-mode-linux, which stays on one CPU of the host.
	guardOneCPU = "one CPU"
	// guardAnyCPU is its value for an emulator, which may use all CPUs and gets fdInitramfs.
	guardAnyCPU = "any CPU"

	// Descriptors that the guard inherits, beside its standard files.
	fdFromHost  = 3 // frames to the guest
	fdToHost    = 4 // frames from the guest
	fdLeash     = 5 // its writing end is the runner's; end of file = the runner is done, or dead
	fdInitramfs = 6 // what a Stock kernel starts from; others have none
)

// Play plays this process's part where it was started as a piece of a guest: its
// first process, or its guard on the host. It reports whether it did; main calls
// it before anything else and returns if so.
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
		// Both are collected by the runner, as the kernel's last words.
		fmt.Fprintln(os.Stderr, "lab guest:", err)
	}
	return true
}

// runGuard starts the guest kernel and ends every process of it as soon as the
// kernel or the runner is gone. The kernel runs each of its processes in a process
// of the host, and those outlive a kernel that is killed; no signal handler of the
// runner could help where the runner itself is killed.
func runGuard(kernel []string) error {
	if len(kernel) == 0 {
		return errors.New("guard: no kernel named")
	}
	// Inherited descriptors are open for programs started from here; the leash is
	// not for them.
	unix.CloseOnExec(fdLeash)
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
	// The parent death signal is sent when the parent thread ends (prctl(2)).
	runtime.LockOSThread()
	if oneCPU {
		if cpu := keepToOneCPU(); cpu != nil {
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
		leash := os.NewFile(fdLeash, "leash")
		_, _ = leash.Read(make([]byte, 1)) // nothing is ever written
		ours.Store(true)
		_ = unix.Kill(group, unix.SIGKILL)
	}()
	if code := reapUntil(cmd.Process.Pid); code > 128 && !ours.Load() {
		fmt.Fprintln(os.Stderr, killedBySignal, code-128) // the runner collects it as the kernel's last words
	}
	_ = unix.Kill(group, unix.SIGKILL) // ESRCH: nothing is left
	reapAll()
	return nil
}

// reapAll waits for every child there is.
func reapAll() {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
