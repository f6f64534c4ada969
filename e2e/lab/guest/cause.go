package guest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// fpuRefused is what user-mode-linux says when the machine does not take its processes' FPU state, or a size of it (EFAULT,
// EINVAL). With another errno, the process is gone.
var fpuRefused = regexp.MustCompile(`ptrace set fp regs failed, errno = (14|22)\b`)

// cause says in one sentence why a guest has ended or did not boot, and what to do: from the last words of its kernel and
// guard. memoryDir is where its memory is. "" = none of the known causes.
func cause(words, memoryDir string) string {
	switch {
	// os_early_checks and after, before there is a console (arch/um/os-Linux/start_up.c).
	case strings.Contains(words, "check_ptrace :"), strings.Contains(words, "ptrace: Operation not permitted"):
		return "this machine forbids ptrace(2), by which user-mode-linux runs its processes: give the container the capability SYS_PTRACE and a seccomp profile that allows it, and have sysctl kernel.yama.ptrace_scope at 0 or 1"
	case fpuRefused.MatchString(words):
		return "this machine does not take the FPU state of the guest's processes, for its CPU has one that preload/fpu.c does not know: report the CPU's model, and use another machine meanwhile"
	// relay_signal, for SIGBUS (arch/um/kernel/trap.c).
	case strings.Contains(words, "Bus error - the host"):
		return fmt.Sprintf("the guest's memory has no room left in %s: free some there, run fewer guests or smaller ones (labrun -mem), or point TMPDIR at a directory with more", memoryDir)
	case strings.Contains(words, "setup_physmem - mapping"):
		return "this machine does not let the guest map its memory: raise the limit of address space (ulimit -v), or make the guest smaller (labrun -mem)"
	case strings.Contains(words, "System is deadlocked on memory"), strings.Contains(words, "Initramfs unpacking failed"):
		return "the guest has too little memory to start: make it larger (labrun -mem)"
	case strings.Contains(words, "cannot set up guest memory"):
		return "this machine does not let the guest map its memory: free some, raise the limit of address space (ulimit -v), or make the guest smaller (labrun -mem)"
	case strings.Contains(words, "error while loading shared libraries"):
		return "the emulator lacks a library that this machine had when the cache was filled: remove the cache's directory *-stock-*, and it is filled anew"
	case strings.Contains(words, killedBySignal+" 9\n"):
		return "this machine killed the guest's kernel, as it does when memory runs out: free some, or run fewer guests or smaller ones (labrun -mem)"
	}
	return ""
}

// killedBySignal is what the guard says, with the signal's number, of a kernel that was not ended by the runner.
const killedBySignal = "lab guest: the kernel was killed by signal"

// errMute is that a guest has not said its first word within the boot limit.
var errMute = errors.New("the guest has said nothing yet, and its time to boot is up: run fewer guests at a time, or give this machine less else to do")

// ended is the error of a guest that fell silent by err.
func ended(err error, words, memoryDir string) error {
	why := cause(words, memoryDir)
	words = strings.TrimSpace(words)
	if words == "" {
		words = "(nothing)"
	}
	switch {
	case errors.Is(err, errMute):
		return fmt.Errorf("%w; the kernel's last words:\n%s", err, words)
	case why == "":
		return fmt.Errorf("the guest's kernel has ended without an exit code (%w), for a reason that labrun does not know; its last words:\n%s", err, words)
	}
	return fmt.Errorf("%s; the kernel's last words (%w):\n%s", why, err, words)
}
