package probe

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func (p *prober) UDP(c config.UDPCheck) { p.result = UDP(p.ctx, p.target, c) }

// UDP sends a packet and waits for an answer, or for the ICMP error that says that nothing receives it. If no answer is
// required, the end of ctx is a good result: servers tell only once a second and host that a port is closed.
func UDP(ctx context.Context, t *Target, c config.UDPCheck) Result {
	watch := start(ctx, "udp")
	expected, err := newMatcher(c.Answer)
	if err != nil {
		return watch.result(health.Local, health.Unknown, err.Error())
	}
	conn, err := dialUDP(t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	defer conn.Close()
	defer conn.endWith(ctx)()
	if _, err := conn.Write([]byte(c.Send)); err != nil {
		return watch.failed("send to", t.Address, ended(ctx, conn.explain(cause(err))))
	}
	t.log("sent %q to %s", c.Send, t.Address)
	wrong := ""
	packet := make([]byte, 64<<10)
	for {
		n, err := conn.Read(packet)
		switch {
		case err == nil, errors.Is(err, io.EOF): // an empty packet
			t.log("received %q", packet[:n])
			if wrong = string(packet[:n]); expected.matches(wrong) {
				return watch.good("answered")
			}
		case ctx.Err() == nil:
			return watch.failed("answer of", t.Address, conn.explain(cause(err)))
		case errors.Is(ctx.Err(), context.Canceled):
			return watch.failed("answer of", t.Address, ctx.Err())
		case wrong != "":
			return watch.result(health.Content, health.Bad, t.Address.String()+": the answer "+excerpt(wrong)+" "+expected.missing(wrong))
		case c.Silent && noNeighbour(t.Address.Addr().Unmap()):
			return watch.failed("answer of", t.Address, unix.EHOSTUNREACH)
		case c.Silent:
			t.log("no answer, and no ICMP error")
			return watch.good("no ICMP error")
		default:
			return watch.failed("answer of", t.Address, ctx.Err())
		}
	}
}

// dialUDP returns a socket that exchanges packets with the target only, and gets the ICMP errors for them.
func dialUDP(t *Target) (*conn, error) {
	target := t.Address.Addr().Unmap()
	switch {
	case !t.Address.IsValid():
		return nil, errNoAddress
	case t.Source.IsValid() && kernel.FamilyOf(t.Source) != kernel.FamilyOf(target):
		return nil, errOtherFamily
	}
	fd, err := unix.Socket(domain(target), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err = prepare(fd, t); err == nil {
		err = os.NewSyscallError("connect", unix.Connect(fd, sockaddr(t.Address)))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c := &conn{File: os.NewFile(uintptr(fd), t.Address.String())}
	if c.raw, err = c.SyscallConn(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
