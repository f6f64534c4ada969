package guest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// fpuRefused matches the message of user-mode-linux when the machine refuses the FPU state of a process or its size
// (EFAULT, EINVAL). With another errno, the process is gone.
var fpuRefused = regexp.MustCompile(`ptrace set fp regs failed, errno = (14|22)\b`)

// cause returns one sentence that says why a guest ended or did not boot, and what to do, from the console output of
// its kernel and guard. memoryDir is the directory of its memory. "" = no known cause.
func cause(console, memoryDir string) string {
	switch {
	// os_early_checks and after, before there is a console (arch/um/os-Linux/start_up.c).
	case strings.Contains(console, "check_ptrace :"), strings.Contains(console, "ptrace: Operation not permitted"):
		return "this machine forbids ptrace(2), with which user-mode-linux runs its processes: give the container the capability SYS_PTRACE and a seccomp profile that allows it, and set sysctl kernel.yama.ptrace_scope to 0 or 1"
	case fpuRefused.MatchString(console):
		return "this machine refuses the FPU state of the guest's processes, because its CPU has a state that preload/fpu.c does not support: report the CPU model, and use another machine meanwhile"
	// relay_signal, for SIGBUS (arch/um/kernel/trap.c).
	case strings.Contains(console, "Bus error - the host"):
		return fmt.Sprintf("there is no room left in %s for the guest's memory: free some, run fewer or smaller guests (labrun -mem), or set TMPDIR to a directory with more room", memoryDir)
	case strings.Contains(console, "setup_physmem - mapping"):
		return "this machine does not let the guest map its memory: raise the address space limit (ulimit -v), or make the guest smaller (labrun -mem)"
	case strings.Contains(console, "System is deadlocked on memory"), strings.Contains(console, "Initramfs unpacking failed"):
		return "the guest has too little memory to boot: make it larger (labrun -mem)"
	case strings.Contains(console, "cannot set up guest memory"):
		return "this machine does not let the guest map its memory: free some, raise the address space limit (ulimit -v), or make the guest smaller (labrun -mem)"
	case strings.Contains(console, "error while loading shared libraries"):
		return "the emulator lacks a library that this machine had when the cache was filled: remove the directory *-stock-* of the cache, so that it is filled again"
	case strings.Contains(console, killedBySignal+" 9\n"):
		return "this machine killed the guest's kernel, as it does when it runs out of memory: free some, or run fewer or smaller guests (labrun -mem)"
	}
	return ""
}

// killedBySignal is the message of the guard, followed by the signal number, for a kernel that was killed by something
// other than the guard.
const killedBySignal = "lab guest: the kernel was killed by signal"

// errBootLimit: the guest has not sent its first frame within the boot limit.
var errBootLimit = errors.New("the guest has not reported within its boot limit: run fewer guests at a time, or reduce the load of this machine")

// ended returns the error for a guest whose connection failed with err.
func ended(err error, console, memoryDir string) error {
	reason := cause(console, memoryDir)
	console = strings.TrimSpace(console)
	if console == "" {
		console = "(nothing)"
	}
	switch {
	case errors.Is(err, errBootLimit):
		return fmt.Errorf("%w; the end of its console output:\n%s", err, console)
	case reason == "":
		return fmt.Errorf("the guest's kernel ended without an exit code (%w), for an unknown reason; the end of its console output:\n%s", err, console)
	}
	return fmt.Errorf("%s; the end of its console output (%w):\n%s", reason, err, console)
}
