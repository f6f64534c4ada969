package rolelock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrHeld is in the chain of Acquire's error if another daemon of the role runs here.
var ErrHeld = errors.New("stop it first (two of them would undo each other's work)")

// attempts is how many names are tried: a name may be taken by a user who is neither root nor this process's.
const attempts = 16

// Lock is a lock that is held until Close or the end of the process.
type Lock struct{ listener *net.UnixListener }

// Acquire takes the lock of a role, for example "lvs-director", in the network namespace of the calling thread. It does not
// wait. The error is ErrHeld with the role and the process ID of the holder, or that of the system.
func Acquire(role string) (*Lock, error) {
	for n := range attempts {
		name := fmt.Sprintf("@%s/role/%d", role, n)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err == nil {
			go refuse(l)
			return &Lock{l}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("lock for %s: %w", role, err)
		}
		holder, err := owner(name)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED): // it has gone meanwhile
			if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"}); err == nil {
				go refuse(l)
				return &Lock{l}, nil
			}
		case err != nil:
			return nil, fmt.Errorf("lock for %s: who holds it: %w", role, err)
		case holder.Uid == 0 || int(holder.Uid) == os.Getuid():
			return nil, fmt.Errorf("%s (pid %s) runs in this network namespace already: %w", role, pid(holder.Pid), ErrHeld)
		}
	}
	return nil, fmt.Errorf("lock for %s: other users hold all %d names of it: see `ss -xlp` for who listens on @%s/role", role, attempts, role)
}

// pid describes a process ID; the kernel reports 0 for a process that this PID namespace does not have.
func pid(n int32) string {
	if n == 0 {
		return "of another container"
	}
	return fmt.Sprint(n)
}

// Close gives the lock up.
func (l *Lock) Close() error { return l.listener.Close() }

// refuse ends the connections of those who ask for the owner, or they would fill the queue.
func refuse(l *net.UnixListener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

// owner returns who listens on a name, as the kernel knows it.
func owner(name string) (*unix.Ucred, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var who *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, err
	}
	return who, failed
}
