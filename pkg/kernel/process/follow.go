package process

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// The process connector (linux/connector.h, linux/cn_proc.h).
const (
	connectorHeader = 20 // struct cn_msg
	procIndex       = 1  // CN_IDX_PROC and CN_VAL_PROC
	listen          = 1  // PROC_CN_MCAST_LISTEN
	ignore          = 2  // PROC_CN_MCAST_IGNORE

	eventNone = 0          // the answer to listen
	eventExec = 0x00000002 // a process has become another program
	eventComm = 0x00000200 // a process has changed its name

	whatAt  = unix.NLMSG_HDRLEN + connectorHeader
	dataAt  = whatAt + 16 // after what, cpu and the time
	eventAt = dataAt + 8  // the size of an event with a process ID and that of its thread group
)

// answerWithin is how long the kernel may take to confirm that it sends events.
const answerWithin = time.Second

// ErrNoEvents: the kernel sends no process events here.
var ErrNoEvents = errors.New("no process events here")

// Follow calls deliver with the ID of each process that becomes another program or changes its name, until ctx ends, and
// with 0 when events may have been lost. It calls ready when the kernel has begun to send them.
//
// The error is ErrNoEvents if the kernel sends none, as in a network or process namespace other than the first one, and
// nil after the end of ctx.
func Follow(ctx context.Context, ready func(), deliver func(pid int)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_CONNECTOR)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoEvents, os.NewSyscallError("socket", err))
	}
	if err = onlyPrograms(fd); err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: procIndex}))
	}
	if err == nil {
		err = tell(fd, listen)
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("%w: %w", ErrNoEvents, err)
	}
	f := os.NewFile(uintptr(fd), "process events")
	defer f.Close()
	defer func() { _ = control(f, func(fd int) error { return tell(fd, ignore) }) }() // before Linux 6.6 the kernel counts the listeners
	release := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	_ = f.SetReadDeadline(time.Now().Add(answerWithin))
	if ctx.Err() != nil {
		return nil
	}
	confirmed := false
	for {
		var packet [512]byte
		n, err := f.Read(packet[:])
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			deliver(0)
		case err != nil && confirmed:
			return fmt.Errorf("follow process events: %w", err)
		case err != nil:
			return fmt.Errorf("%w: the kernel does not answer", ErrNoEvents)
		}
		what, pid, ok := parse(packet[:max(n, 0)])
		switch {
		case !ok:
		case what == eventNone && pid != 0: // an error number
			return fmt.Errorf("%w: %w", ErrNoEvents, unix.Errno(pid))
		case what == eventNone && !confirmed:
			confirmed = true
			_ = f.SetReadDeadline(time.Time{})
			if ctx.Err() != nil { // the deadline was its
				return nil
			}
			ready()
		case confirmed && pid != 0:
			deliver(pid)
		}
	}
}

func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return sockets.Do(raw, do)
}

// tell tells the kernel to begin or to end.
func tell(fd int, op uint32) error {
	b := make([]byte, unix.NLMSG_HDRLEN+connectorHeader+4)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.NLMSG_DONE)
	message := b[unix.NLMSG_HDRLEN:]
	binary.NativeEndian.PutUint32(message[0:], procIndex)
	binary.NativeEndian.PutUint32(message[4:], procIndex)
	binary.NativeEndian.PutUint16(message[16:], 4)
	binary.NativeEndian.PutUint32(message[connectorHeader:], op)
	return os.NewSyscallError("sendto", unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
}

// parse returns the kind of an event, and the process that it is about or the error number of an answer. The process is 0
// for an event about a thread that is not its first one.
func parse(b []byte) (what uint32, pid int, ok bool) {
	if len(b) < eventAt {
		return 0, 0, false
	}
	what = binary.NativeEndian.Uint32(b[whatAt:])
	first, group := binary.NativeEndian.Uint32(b[dataAt:]), binary.NativeEndian.Uint32(b[dataAt+4:])
	switch {
	case what == eventNone, first == group:
		return what, int(int32(first)), true
	default:
		return what, 0, true
	}
}

// onlyPrograms attaches a filter that lets only the events in use pass: most are forks and ends of processes.
func onlyPrograms(fd int) error {
	host := func(n uint32) uint32 { // as the filter loads it, in network byte order
		return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, n))
	}
	return sockets.Filter(fd, []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: whatAt},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: host(eventNone), Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: host(eventExec), Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: host(eventComm), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	})
}
