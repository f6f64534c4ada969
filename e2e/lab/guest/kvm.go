package guest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// kvmTrial is how long a kernel may take to boot under KVM; it takes about 1 s.
const kvmTrial = 10 * time.Second

// kvmRuns reports whether KVM can run guests on this machine. Opening /dev/kvm and creating a VM do not prove it, so a
// kernel is booted once per boot of the machine; the result is kept in the cache.
func (s Stock) kvmRuns(ctx context.Context) bool {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	kvm.Close()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return false
	}
	path := filepath.Join(s.Dir, "kvm")
	yes, no := "runs guests in "+string(boot), "does not run guests in "+string(boot)
	switch verdict, _ := os.ReadFile(path); string(verdict) {
	case yes:
		return true
	case no:
		return false
	}
	runs, verdict := s.tryKVM(ctx), no
	if runs {
		verdict = yes
	}
	if ctx.Err() == nil {
		_ = os.WriteFile(path, []byte(verdict), 0o644) // if the cache is not writable, the trial is repeated every time
	}
	return runs
}

// tryKVM boots the kernel without a root file system. If KVM works, the kernel gets as far as the message that says so.
func (s Stock) tryKVM(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, kvmTrial)
	defer cancel()
	env, err := s.qemuEnv()
	if err != nil {
		return false
	}
	args := append(s.qemu(), "-accel", "kvm", "-cpu", "host", "-m", "256", "-append", "console=ttyS0 panic=-1")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = env
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// PDEATHSIG is sent when the parent thread ends (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	console, err := cmd.CombinedOutput()
	return err == nil && strings.Contains(string(console), "Unable to mount root fs")
}
