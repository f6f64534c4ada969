package lab

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A guard cleans up after a test process that ends without running its cleanups (interrupted, killed, timed out). The
// kernel kills only the processes that the test itself forked, not their children. The guard is a shell that reads the
// names of the namespaces from a pipe. When the pipe is closed without a "done", it kills every process in them and
// removes the network's directory.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

const guardScript = `
spaces=
while read -r word; do
	if [ "$word" = done ]; then exit 0; fi
	spaces="$spaces $word "
done
for round in 1 2 3 4 5 6 7 8 9 10; do
	found=
	for process in /proc/[0-9]*; do
		space=$(readlink "$process/ns/net") || continue
		case "$spaces" in *" $space "*) found=yes; kill -9 "${process#/proc/}" ;; esac
	done
	if [ -z "$found" ]; then break; fi
	sleep 0.1
done
rm -rf "$1"
`

// newGuard returns nil in a guest, where every process ends with the guest.
func newGuard(dir string) (*guard, error) {
	if os.Getenv("LVS_LAB_INSIDE") == "guest" {
		return nil, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd := exec.Command("sh", "-c", guardScript, "lab-guard", dir)
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C must not reach it
	if err := cmd.Start(); err != nil {
		_ = write.Close()
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	return &guard{cmd: cmd, pipe: write}, nil
}

func (g *guard) watch(ns *namespace) error {
	if g == nil {
		return nil
	}
	_, err := g.pipe.WriteString(ns.id + "\n")
	return err
}

// dismiss stops the guard after the network has cleaned up.
func (g *guard) dismiss() {
	if g == nil {
		return
	}
	_, _ = g.pipe.WriteString("done\n")
	_ = g.pipe.Close()
	overdue := time.AfterFunc(5*time.Second, func() { _ = g.cmd.Process.Kill() })
	defer overdue.Stop()
	_ = g.cmd.Wait()
}
