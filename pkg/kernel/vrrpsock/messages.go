package vrrpsock

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// readAtOnce is the maximum number of datagrams that one system call reads.
	readAtOnce = 16
	// controlSize is more than what the control messages of a datagram take, in bytes: 64 those of receive6, 32 the time stamp.
	controlSize = 128
)

// allMessages are used for one call of Pending each, so that a director with many sockets has one: a buffer for each advert would be
// most of its garbage. It is no sync.Pool, which the garbage collector empties: 72 kB for each socket that is read after that.
var allMessages atomic.Pointer[messages]

// takeMessages returns memory for one call of Pending; keepMessages takes it back.
func takeMessages() *messages {
	if m := allMessages.Swap(nil); m != nil {
		return m
	}
	return newMessages() // another socket is being read
}

func keepMessages(m *messages) { allMessages.Store(m) }

// messages is the memory into which recvmmsg(2) reads.
type messages struct {
	headers [readAtOnce]mmsghdr
	vectors [readAtOnce]unix.Iovec
	from    [readAtOnce]unix.RawSockaddrInet6
	control [readAtOnce][controlSize]byte
	content [readAtOnce][bufferSize]byte
}

// mmsghdr is the struct of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	size uint32 // of the content
}

func newMessages() *messages {
	m := new(messages)
	for i := range m.headers {
		m.vectors[i].Base = &m.content[i][0]
		m.vectors[i].SetLen(bufferSize)
		h := &m.headers[i].Msghdr
		h.Iov = &m.vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&m.from[i]))
		h.Control = &m.control[i][0]
	}
	return m
}

// read reads the datagrams that are queued, at most readAtOnce, without blocking.
func (m *messages) read(fd int) (int, error) {
	for i := range m.headers {
		h := &m.headers[i].Msghdr
		h.Namelen = uint32(unsafe.Sizeof(m.from[i]))
		h.SetControllen(controlSize)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.headers)), readAtOnce, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// datagram returns one of the datagrams that were read; its payload is overwritten by the next read. Its Age is, for now, the time
// of arrival.
func (m *messages) datagram(i int, w wire) vrrp.Datagram {
	h := &m.headers[i]
	oob := m.control[i][:min(int(h.Controllen), controlSize)]
	d := w.decode(m.content[i][:min(h.size, bufferSize)], oob, &m.from[i])
	d.Age = sockets.Arrival(oob)
	return d
}
