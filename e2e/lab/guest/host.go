package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// HostHasIPVS reports whether commands can run on this machine's own kernel: IPVS is loaded and the caller is root.
func HostHasIPVS() bool {
	_, err := os.Stat("/proc/net/ip_vs")
	return err == nil && os.Geteuid() == 0
}

// hostScript makes the namespaces look like a guest: the packages over /usr, an empty /run (where ip netns keeps its
// names), lo up. Its shell remains process 1, so that the kernel kills every other process when it exits.
const hostScript = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 lab /run
mkdir -m 1777 /run/lock
mount -t overlay -o "lowerdir=$1/usr:/usr" lab /usr
ip link set lo up
shift
set +e
"$@"
exit $?
`

// RunHost runs the command as Boot does, but on this machine's own kernel, in new network, mount, process, and UTS
// namespaces. It needs root. The command may write to the machine's files, except below /usr. LVS_LAB_OUT is the path
// of Out on the machine. Program, Memory, Writable, Interactive, and Sizes are ignored.
func RunHost(ctx context.Context, o Options) (int, error) {
	ctx, cancel := o.limit(ctx)
	defer cancel()
	o, s, err := o.complete()
	if err != nil {
		return 0, fmt.Errorf("host: %w", err)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", hostScript, "sh", o.Tree.Dir}, o.Command...)...)
	cmd.Dir = s.Dir
	cmd.Env = hostEnv(o.Env, s.Out)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Stdin, o.Stdout, o.Stderr
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	// PDEATHSIG is sent when the parent thread ends (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return hostCode(ctx, cmd.Run())
}

func hostCode(ctx context.Context, err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil:
		return 0, fmt.Errorf("host: %w", context.Cause(ctx))
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	case errors.As(err, &exit):
		return 128 + int(exit.Sys().(syscall.WaitStatus).Signal()), nil
	}
	return 0, fmt.Errorf("host: create namespaces: %w: run as root, or in a guest (LVS_LAB=guest)", err)
}

// hostEnv returns the command's whole environment: the given one, and where the results go.
func hostEnv(given []string, out string) []string {
	env := append([]string{"PATH=" + guestPath}, given...)
	env = append(env, "LVS_LAB_INSIDE=host")
	if out != "" {
		env = append(env, "LVS_LAB_OUT="+out)
	}
	return env
}
