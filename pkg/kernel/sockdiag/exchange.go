package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// within limits an exchange with the kernel.
	within = 2 * time.Second
	// requestSize is sizeof(struct nlmsghdr) + sizeof(struct inet_diag_req_v2), messageSize sizeof(struct
	// inet_diag_msg) (include/uapi/linux/inet_diag.h).
	requestSize = unix.SizeofNlMsghdr + 56
	messageSize = 72
	// idSize is sizeof(struct inet_diag_sockid), which is at idOffset of inet_diag_msg, and at the end of inet_diag_req_v2.
	idSize, idOffset = 48, 4
)

// socket is a netlink socket with deadlines.
type socket struct{ fd int }

func open() (socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return socket{}, os.NewSyscallError("socket", err)
	}
	limit := unix.NsecToTimeval(within.Nanoseconds())
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)); err != nil {
		unix.Close(fd)
		return socket{}, os.NewSyscallError("setsockopt", err)
	}
	return socket{fd}, nil
}

func (s socket) close() { unix.Close(s.fd) }

func (s socket) send(messages []byte) error {
	return os.NewSyscallError("sendto", unix.Sendto(s.fd, messages, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
}

// receive calls each for the messages that come, until it returns true or an error.
func (s socket) receive(each func(message) (done bool, err error)) error {
	buffer := make([]byte, 64<<10)
	for begun := time.Now(); time.Since(begun) < within; {
		n, err := unix.Read(s.fd, buffer)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		}
		if done, err := parse(buffer[:n], each); done || err != nil {
			return err
		}
	}
	return fmt.Errorf("no end of the answer within %s", within)
}

// message is a netlink message.
type message struct {
	kind     uint16
	sequence uint32
	body     []byte
}

// err is that of a message of the kind NLMSG_ERROR; nil is an acknowledgement.
func (m message) err() error {
	if len(m.body) < 4 {
		return errTruncated
	}
	if number := -int32(binary.NativeEndian.Uint32(m.body)); number != 0 {
		return unix.Errno(number)
	}
	return nil
}

var errTruncated = errors.New("truncated netlink message")

// parse calls each for the netlink messages of a datagram, until it returns true or an error.
func parse(datagram []byte, each func(message) (done bool, err error)) (done bool, err error) {
	for len(datagram) > 0 {
		if len(datagram) < unix.SizeofNlMsghdr {
			return false, errTruncated
		}
		length := int(binary.NativeEndian.Uint32(datagram))
		if length < unix.SizeofNlMsghdr || length > len(datagram) {
			return false, errTruncated
		}
		m := message{binary.NativeEndian.Uint16(datagram[4:]), binary.NativeEndian.Uint32(datagram[8:]), datagram[unix.SizeofNlMsghdr:length]}
		datagram = datagram[min(align(length), len(datagram)):]
		if done, err := each(m); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// request returns a message with a struct inet_diag_req_v2.
func request(kind, flags uint16, sequence uint32, family, protocol uint8, states uint32, attributes []byte) []byte {
	all := make([]byte, requestSize, requestSize+len(attributes))
	binary.NativeEndian.PutUint32(all, uint32(requestSize+len(attributes)))
	binary.NativeEndian.PutUint16(all[4:], kind)
	binary.NativeEndian.PutUint16(all[6:], unix.NLM_F_REQUEST|flags)
	binary.NativeEndian.PutUint32(all[8:], sequence)
	all[16], all[17] = family, protocol
	binary.NativeEndian.PutUint32(all[20:], states)
	return append(all, attributes...)
}

// dump requests the sockets of a family and calls each with the struct inet_diag_msg of each and its attributes. ENOENT means that
// the kernel has no sock_diag for it.
func (s socket) dump(family, protocol uint8, states uint32, attributes []byte, each func(body []byte)) error {
	sequence := uint32(family)
	if err := s.send(request(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, sequence, family, protocol, states, attributes)); err != nil {
		return err
	}
	return s.receive(func(m message) (bool, error) { return listed(m, sequence, each) })
}

// listed calls each for an entry of a list with a sequence number; other messages are skipped. done is the end of the list.
func listed(m message, sequence uint32, each func(body []byte)) (done bool, err error) {
	switch {
	case m.sequence != sequence:
	case m.kind == unix.NLMSG_DONE:
		return true, nil
	case m.kind == unix.NLMSG_ERROR:
		return false, m.err()
	case m.kind == unix.SOCK_DIAG_BY_FAMILY && len(m.body) < messageSize:
		return false, errTruncated
	case m.kind == unix.SOCK_DIAG_BY_FAMILY:
		each(m.body)
	}
	return false, nil
}

// align rounds up to the 4 bytes of netlink.
func align(length int) int { return (length + 3) &^ 3 }
