package localsock

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is the process that has opened a connection, as it was then.
type Peer struct {
	UID    uint32
	Groups []uint32 // all of them
}

// In reports whether the process was in a group.
func (p Peer) In(gid uint32) bool { return slices.Contains(p.Groups, gid) }

// Of returns the process at the other end of a connection.
func Of(conn *net.UnixConn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("the process at the other end of a socket: %w", err)
	}
	var p Peer
	var failed error
	err = raw.Control(func(fd uintptr) { p, failed = ofDescriptor(fd) })
	if err = errors.Join(err, failed); err != nil {
		return Peer{}, fmt.Errorf("the process at the other end of a socket: %w", err)
	}
	return p, nil
}

func ofDescriptor(fd uintptr) (Peer, error) {
	cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	groups, err := groupsOf(fd)
	if err != nil {
		return Peer{}, fmt.Errorf("SO_PEERGROUPS: %w", err)
	}
	return Peer{UID: cred.Uid, Groups: append(groups, cred.Gid)}, nil
}

// groupsOf returns the supplementary groups. Since Linux 4.13.
func groupsOf(fd uintptr) ([]uint32, error) {
	const size = unsafe.Sizeof(uint32(0))
	groups := make([]uint32, 64)
	for range 2 { // once more with the length that the kernel tells
		length := uint32(uintptr(len(groups)) * size)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&length)), 0)
		runtime.KeepAlive(groups)
		count := uintptr(length) / size
		switch {
		case errno == 0:
			return groups[:count], nil
		case errno != unix.ERANGE:
			return nil, errno
		}
		groups = make([]uint32, count)
	}
	return nil, unix.ERANGE
}
