package sockdiag

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
)

const (
	// withPeer are the states with a peer: ESTABLISHED, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING
	// (include/net/tcp_states.h). TIME_WAIT is none of a program.
	withPeer = 1<<1 | 1<<3 | 1<<4 | 1<<5 | 1<<8 | 1<<9 | 1<<11
	// byteCode is the attribute INET_DIAG_REQ_BYTECODE, localIs the operation INET_DIAG_BC_S_COND.
	byteCode, localIs = 1, 7
	// destroy is SOCK_DESTROY (include/uapi/linux/sock_diag.h).
	destroy = 21
	// batch is how many connections are ended by one message to the kernel.
	batch = 64
)

// ErrNoDestroy: the kernel cannot end the connections of other programs.
var ErrNoDestroy = errors.New("this kernel cannot end connections (CONFIG_INET_DIAG_DESTROY)")

// Connection is a TCP connection of a program of this network namespace. Two that are equal are one socket.
type Connection struct {
	Local, Remote netip.AddrPort
	family        uint8        // of the socket, which may be IPv6 with addresses of IPv4
	id            [idSize]byte // struct inet_diag_sockid; its cookie is that of this socket only
}

// Connections returns the TCP connections whose local end is an address and port; port 0: every port; an unspecified
// address: every address of both families. Also those that one of both sides has closed already are among them, but not
// those in TIME_WAIT. The kernel needs the module tcp_diag, which it loads itself.
func Connections(local netip.AddrPort) ([]Connection, error) {
	s, err := open()
	if err != nil {
		return nil, fmt.Errorf("connections of %s: %w", local, err)
	}
	defer s.close()
	families := []uint8{unix.AF_INET6}
	if local.Addr().IsUnspecified() || kernel.FamilyOf(local.Addr()) == kernel.IPv4 {
		families = []uint8{unix.AF_INET, unix.AF_INET6}
	}
	var all []Connection
	for _, family := range families {
		err := s.dump(family, unix.IPPROTO_TCP, withPeer, condition(local), func(body []byte) {
			c := Connection{family: body[0], id: [idSize]byte(body[idOffset : idOffset+idSize])}
			c.Local, c.Remote = ends(body)
			all = append(all, c)
		})
		if err != nil {
			return nil, fmt.Errorf("connections of %s: %w", local, err)
		}
	}
	return all, nil
}

// condition returns the attribute that selects sockets by their local end: a struct inet_diag_bc_op and a struct inet_diag_hostcond.
func condition(local netip.AddrPort) []byte {
	var address []byte
	if !local.Addr().IsUnspecified() {
		address = local.Addr().AsSlice()
	}
	size := 4 + 8 + len(address)
	all := make([]byte, unix.SizeofRtAttr+size)
	binary.NativeEndian.PutUint16(all, uint16(len(all)))
	binary.NativeEndian.PutUint16(all[2:], byteCode)
	op := all[unix.SizeofRtAttr:]
	op[0], op[1] = localIs, uint8(size)
	binary.NativeEndian.PutUint16(op[2:], uint16(size+4)) // beyond the end: not this socket
	host := op[4:]
	host[1] = uint8(8 * len(address))
	switch len(address) {
	case 4:
		host[0] = unix.AF_INET
	case 16:
		host[0] = unix.AF_INET6
	}
	port := int32(local.Port())
	if port == 0 {
		port = -1
	}
	binary.NativeEndian.PutUint32(host[4:], uint32(port))
	copy(host[8:], address)
	return all
}

// Destroy ends connections: the other side gets a reset, the program ECONNABORTED. ended is how many; the others had ended before, or
// their end was not tried because of the error, which is ErrNoDestroy, kernel.ErrNotPermitted (CAP_NET_ADMIN) or another one.
// A connection that has taken the place of a listed one is left alone.
func Destroy(all []Connection) (ended int, err error) {
	s, err := open()
	if err != nil {
		return 0, fmt.Errorf("end connections: %w", err)
	}
	defer s.close()
	for len(all) > 0 {
		some := all[:min(batch, len(all))]
		all = all[len(some):]
		n, err := s.destroy(some)
		ended += n
		if errors.Is(err, unix.EOPNOTSUPP) {
			return ended, ErrNoDestroy
		}
		if err != nil {
			return ended, fmt.Errorf("end connections: %w", errno.Translate(err, "CAP_NET_ADMIN"))
		}
	}
	return ended, nil
}

// destroy ends at most one batch.
func (s socket) destroy(some []Connection) (ended int, err error) {
	var messages []byte
	for i, c := range some {
		one := request(destroy, unix.NLM_F_ACK, uint32(i), c.family, unix.IPPROTO_TCP, 0, nil)
		copy(one[requestSize-idSize:], c.id[:])
		messages = append(messages, one...)
	}
	if err := s.send(messages); err != nil {
		return 0, err
	}
	answers := 0
	var refused error
	err = s.receive(func(m message) (bool, error) {
		if m.kind != unix.NLMSG_ERROR {
			return false, nil
		}
		answers++
		switch err := m.err(); {
		case err == nil:
			ended++
		case !errors.Is(err, unix.ENOENT): // it has ended by itself
			refused = err
		}
		return answers == len(some), nil
	})
	return ended, cmp.Or(err, refused)
}
