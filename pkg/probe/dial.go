package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// errOtherFamily: no packet to the target can have this source.
var errOtherFamily = errors.New("the source address is not of the target's family")

// errNoAddress prevents a system call for a missing address.
var errNoAddress = errors.New("no address to check")

// dialAttempts limits how often a dial is repeated that connected to itself. See net.selfConnect.
const dialAttempts = 3

// conn is a TCP connection. The net package would make five more system calls for each probe: it asks for both addresses
// and the error, sets TCP_NODELAY, and gives no access to the error queue of a failed dial except by a duplicate of the
// descriptor.
type conn struct {
	*os.File
	raw           syscallConn
	local, remote *net.TCPAddr
}

// syscallConn is the part of syscall.RawConn that is used.
type syscallConn interface {
	Control(func(fd uintptr)) error
	Write(func(fd uintptr) (done bool)) error
}

// LocalAddr implements net.Conn. The port is not known.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// dial connects to a target, for a check that talks to it.
func dial(ctx context.Context, t *Target) (*conn, error) {
	c, err := reach(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := c.ignoreICMP(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// reach connects to a target. Any ICMP error ends its connection: one that the sender forged, too.
func reach(ctx context.Context, t *Target) (*conn, error) {
	address := netip.AddrPortFrom(t.Address.Addr().Unmap(), t.Address.Port())
	switch {
	case !address.IsValid():
		return nil, errNoAddress
	case t.Source.IsValid() && kernel.FamilyOf(t.Source) != kernel.FamilyOf(address.Addr()):
		return nil, errOtherFamily
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	for attempt := 1; ; attempt++ {
		c, err := connect(ctx, t, address)
		if err != nil || !c.toItself(t.Source, address) || attempt == dialAttempts {
			return c, err
		}
		_ = c.Close()
	}
}

// connect connects to the address of a target, which is not a mapped one.
func connect(ctx context.Context, t *Target, address netip.AddrPort) (*conn, error) {
	fd, err := unix.Socket(domain(address.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	target := sockaddr(address)
	if err = prepare(fd, t); err == nil {
		err = begun(unix.Connect(fd, target))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	// The poller is told about the socket only now: before connect(2) it would report it as writable.
	c := &conn{
		File: os.NewFile(uintptr(fd), address.String()), remote: net.TCPAddrFromAddrPort(address),
		local: net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.Source, 0)),
	}
	if c.raw, err = c.SyscallConn(); err != nil {
		_ = c.Close()
		return nil, err
	}
	if err := c.await(ctx, target); err != nil {
		err = c.explain(err)
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// begun returns nil if connect(2) has begun.
func begun(err error) error {
	if err == unix.EINPROGRESS || err == unix.EINTR {
		return nil
	}
	return os.NewSyscallError("connect", err)
}

// await waits until the connection is established. connect(2) tells the state of a connection when it is called again.
func (c *conn) await(ctx context.Context, target unix.Sockaddr) error {
	release := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer release()
	var failed error
	err := c.raw.Write(func(fd uintptr) bool {
		failed = unix.Connect(int(fd), target)
		return failed != unix.EALREADY && failed != unix.EINPROGRESS && failed != unix.EINTR
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case failed == unix.EISCONN:
		return nil
	default:
		return os.NewSyscallError("connect", failed)
	}
}

// prepare sets the source of a socket and switches its error queue on.
//
// With IP_BIND_ADDRESS_NO_PORT, bind(2) sets only the address and leaves the port to connect(2), which can use the same
// port for different servers. Without it the probes of all servers share one set of 28 000 ports, each of which is
// unavailable for 60 s in TIME_WAIT.
func prepare(fd int, t *Target) error {
	if err := enableErrorQueue(fd, t.Address.Addr().Unmap().Is6(), 1); err != nil {
		return os.NewSyscallError("setsockopt IP_RECVERR", err)
	}
	if err := mark(fd, t.Mark); err != nil {
		return err
	}
	if !t.Source.IsValid() {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt IP_BIND_ADDRESS_NO_PORT", err)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sockaddr(netip.AddrPortFrom(t.Source, 0))))
}

// mark sets the firewall mark of a socket; 0: none.
func mark(fd int, mark uint32) error {
	if mark == 0 {
		return nil
	}
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark))
	if err == unix.EPERM {
		return errors.New("the daemon has no CAP_NET_ADMIN, which a mark needs: start it as root, or grant it in the service unit")
	}
	return os.NewSyscallError("setsockopt SO_MARK", err)
}

// toItself reports whether the connection is one to its own port, which the kernel makes if nothing listens on the
// target, an address of this machine, and the source port happens to be the same.
func (c *conn) toItself(source netip.Addr, target netip.AddrPort) bool {
	if source.IsValid() && source.Unmap() != target.Addr() {
		return false
	}
	var own unix.Sockaddr
	var err error
	if cerr := c.raw.Control(func(fd uintptr) { own, err = unix.Getsockname(int(fd)) }); cerr != nil || err != nil {
		return false
	}
	return addrPort(own) == target
}
