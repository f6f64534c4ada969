package ipvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limit is the maximum duration of an exchange, unless its context has an earlier deadline.
const limit = 30 * time.Second

// errInterrupted: the table changed during a dump (NLM_F_DUMP_INTR), which may lack entries.
var errInterrupted = errors.New("the table changed while it was read")

// conn is a generic netlink socket. After an error that is not an errno from the kernel its requests and answers no
// longer match, and it must be closed.
type conn struct {
	file     *os.File
	raw      syscall.RawConn
	sequence uint32
	buffer   []byte
	hangs    bool // a send has not returned
}

// dial opens a socket in the network namespace of the calling thread.
func dial() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind a netlink socket: %w", err)
	}
	// Errors are ignored: both options only make answers smaller or their queue longer, and a full queue is detected.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	file := os.NewFile(uintptr(fd), "netlink")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &conn{file: file, raw: raw, buffer: make([]byte, 1<<16)}, nil
}

// close does not wait. If a send hangs in the kernel, the socket stays open until that returns, and then the channel is
// closed. The channel is nil if no send hangs.
func (c *conn) close() <-chan struct{} {
	if !c.hangs {
		_ = c.file.Close()
		return nil
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = c.file.Close()
	}()
	return closed
}

// ask sends one request and passes the body of every answer to each until the last one. The body is valid only during
// the call.
func (c *conn) ask(ctx context.Context, r request, each func(body []byte) error) error {
	c.sequence++
	sequence, interrupted := c.sequence, false
	r.flags |= unix.NLM_F_ACK
	err := c.talk(ctx, r.bytes(sequence), func(m message) (bool, error) {
		if m.sequence != sequence {
			return false, nil
		}
		interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
		if m.kind == unix.NLMSG_ERROR || m.kind == unix.NLMSG_DONE {
			errno, err := m.errno()
			if err == nil && errno != 0 {
				err = errno
			}
			return true, err
		}
		body, err := m.genl()
		if err == nil {
			err = each(body)
		}
		return false, err
	})
	if err == nil && interrupted {
		return errInterrupted
	}
	return err
}

// tell sends many requests at once and returns the kernel's answer to each, 0 for success. The kernel processes them in
// order (netlink_rcv_skb); a refused one does not prevent the following ones. After an error it is unknown which ones
// were executed.
func (c *conn) tell(ctx context.Context, requests []request) ([]unix.Errno, error) {
	first := c.sequence + 1
	var bytes []byte
	for _, r := range requests {
		c.sequence++
		r.flags |= unix.NLM_F_ACK
		bytes = append(bytes, r.bytes(c.sequence)...)
	}
	answers, open := make([]unix.Errno, len(requests)), len(requests)
	err := c.talk(ctx, bytes, func(m message) (bool, error) {
		i := m.sequence - first // wraps around for answers to older requests
		if m.kind != unix.NLMSG_ERROR || int64(i) >= int64(len(answers)) {
			return false, nil
		}
		errno, err := m.errno()
		answers[i] = errno
		open--
		return open == 0, err
	})
	return answers, err
}

// talk sends bytes and passes every received message to each, until each returns done or the context ends.
func (c *conn) talk(ctx context.Context, bytes []byte, each func(message) (done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	// The kernel does the work inside the send, which may wait for modprobe: a socket deadline has no effect there.
	sent := make(chan error, 1)
	go func() { sent <- c.send(bytes) }()
	select {
	case <-ctx.Done():
		c.hangs = true
		return ctx.Err()
	case err := <-sent:
		if err != nil {
			return err
		}
	}
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		_ = c.file.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-expired // otherwise it could end a later exchange
		}
	}()
	for {
		done, err := c.receive(each)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ctx.Err()
		case done || err != nil:
			return err
		}
	}
}

func (c *conn) send(bytes []byte) error {
	var failed error
	err := c.raw.Write(func(fd uintptr) bool {
		failed = retried(func() error {
			return unix.Sendto(int(fd), bytes, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		})
		return failed != unix.EAGAIN
	})
	return ofSocket("send to the kernel", cmp.Or(err, failed))
}

// receive passes the messages of one datagram to each. It yields the CPU between the datagrams of a long dump.
func (c *conn) receive(each func(message) (done bool, err error)) (bool, error) {
	runtime.Gosched()
	var n int
	var from unix.Sockaddr
	var failed error
	err := c.raw.Read(func(fd uintptr) bool {
		failed = retried(func() (err error) {
			n, from, err = unix.Recvfrom(int(fd), c.buffer, unix.MSG_TRUNC)
			return err
		})
		return failed != unix.EAGAIN
	})
	if err := cmp.Or(err, failed); err != nil {
		return false, ofSocket("receive from the kernel", err)
	}
	if kernel, ok := from.(*unix.SockaddrNetlink); !ok || kernel.Pid != 0 {
		return false, nil // any process may send to any netlink socket
	}
	if n > len(c.buffer) {
		return false, fmt.Errorf("%w: datagram of %d bytes", errMalformed, n)
	}
	messages, err := parseMessages(c.buffer[:n])
	if err != nil {
		return false, err
	}
	for _, m := range messages {
		if done, err := each(m); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

func retried(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// ofSocket hides the errno of a socket error, because a bare unix.Errno means the kernel's answer to a request.
func ofSocket(doing string, err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%s: %v", doing, err)
}
