package systemd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

const readyPrefix = "systemd is process" // followed by the pid; printed when the target is reached

type arguments struct {
	Options
	Hostname string
	Console  string // path of the terminal that stands in for the console
	Notify   string // $NOTIFY_SOCKET
}

// runParent is the parent process of a systemd. It creates the cgroup, copies the console to its output, and on SIGTERM
// kills systemd and removes the cgroup. If this process is killed, the kernel kills systemd and its processes.
func runParent(encoded []byte) error {
	var a arguments
	if err := json.Unmarshal(encoded, &a); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	console, err := openConsole()
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	a.Console = console.path
	go func() { _, _ = io.Copy(os.Stdout, console.master) }()
	// Abstract, so that it can be reached from another mount namespace.
	a.Notify = fmt.Sprintf("@lvs-lab-systemd-%d", os.Getpid())
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: a.Notify, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer notify.Close()

	// Namespaces and PDEATHSIG belong to the thread (prctl(2)).
	runtime.LockOSThread()
	group, err := newCgroup(fmt.Sprintf("lvs-lab-%s-%d", a.Hostname, os.Getpid()))
	if err != nil {
		return fmt.Errorf("cgroup: %w (systemd needs cgroup v2 and root)", err)
	}
	first, err := startFirst(a)
	if err != nil {
		return errors.Join(err, group.leave(), group.remove())
	}
	if err := group.leave(); err != nil {
		_ = first.Process.Kill()
		return errors.Join(err, first.Wait(), group.remove())
	}
	context.AfterFunc(ctx, func() { _ = first.Process.Kill() })
	go followNotify(notify, func() { fmt.Printf("\n%s %d\n", readyPrefix, first.Process.Pid) })
	err = first.Wait()
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, group.remove())
}

// startFirst re-executes this program as process 1 of new namespaces.
func startFirst(a arguments) (*exec.Cmd, error) {
	argv, env, err := lab.RoleCommand(treeRole, a)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("create namespaces: %w", err)
	}
	return cmd, nil
}

// followNotify reads the messages of process 1 until the socket is closed: at a daemon-reload and with each change of its status there
// are more, and one that finds the queue full blocks process 1. It calls ready at the first READY=1.
func followNotify(notify *net.UnixConn, ready func()) {
	message, told := make([]byte, 4096), false
	for {
		n, err := notify.Read(message)
		if err != nil {
			return
		}
		if !told && slices.Contains(strings.Split(string(message[:n]), "\n"), "READY=1") {
			told = true
			ready()
		}
	}
}

// console is a pseudo-terminal whose slave end systemd uses as /dev/console.
type console struct {
	master, slave *os.File
	path          string
}

func openConsole() (console, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return console{}, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return console{}, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return console{}, err
	}
	path := fmt.Sprintf("/dev/pts/%d", n)
	// Keep the slave open: reading from the master fails while no process has the slave open.
	slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	return console{master, slave, path}, err
}

// cgroup is the root cgroup of a systemd.
type cgroup struct {
	path string
	home *os.File // cgroup.procs of the cgroup that this process came from
}

const cgroupMount = "/sys/fs/cgroup"

// newCgroup creates a cgroup, moves this process into it, and makes it the root of a new cgroup namespace of the
// calling thread. The thread also gets a new mount namespace, in which the cgroup file system is mounted.
func newCgroup(name string) (*cgroup, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, err
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return nil, err
	}
	if err := unix.Mount("cgroup2", cgroupMount, "cgroup2", 0, ""); err != nil {
		return nil, fmt.Errorf("mount %s: %w", cgroupMount, err)
	}
	if os.Getenv("LVS_LAB_INSIDE") == "guest" {
		// The controllers that a machine's systemd would have enabled.
		if err := os.WriteFile(filepath.Join(cgroupMount, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0); err != nil {
			return nil, err
		}
	}
	own, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil {
		return nil, err
	}
	home := ""
	for line := range strings.Lines(string(own)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			home = path
		}
	}
	g := &cgroup{path: filepath.Join(cgroupMount, name)}
	if g.home, err = os.OpenFile(filepath.Join(cgroupMount, home, "cgroup.procs"), os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(g.path, "cgroup.procs"), []byte("0"), 0); err != nil {
		return nil, errors.Join(err, g.remove())
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return nil, errors.Join(err, g.leave(), g.remove())
	}
	return g, nil
}

// leave moves this process back, because a cgroup with processes cannot enable controllers for its children
// (cgroups(7)).
func (g *cgroup) leave() error {
	_, err := g.home.WriteString("0")
	return errors.Join(err, g.home.Close())
}

// remove removes the cgroup and its descendants, after waiting for their processes to exit.
func (g *cgroup) remove() error {
	return lab.Poll(5*time.Second, func() error {
		var all []string
		err := filepath.WalkDir(g.path, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return err
		})
		for _, path := range slices.Backward(all) {
			err = errors.Join(err, unix.Rmdir(path))
		}
		return err
	})
}
