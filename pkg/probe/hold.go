package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// holdPing is how often a kept connection is verified: after so long at most it is known that the network has lost it.
const holdPing = 10 * time.Second

// Hold connects to a server as the check t.Kind does, within limit, and then keeps the connection until ctx ends or the
// connection does. opened is called once it is established.
//
// The result says what ended it. One that the server said (health.Result.Said) is no verdict about the server: the
// connection may have been closed by its idle timeout. A kind that keeps no connection has the result Local at once.
func Hold(ctx context.Context, t Target, limit time.Duration, opened func()) Result {
	h := holder{ctx: ctx, target: t, limit: limit, opened: opened}
	h.result = Result{Code: health.Local, Cause: "this kind of check keeps no connection"}
	if kind, is := t.Kind.(config.Keeper); is {
		kind.Hold(&h)
	}
	return h.result
}

// holder is the config.Holder of Hold. It has a method for each kind of check, in the file of that kind.
type holder struct {
	ctx    context.Context // of the call of Hold that it belongs to
	target Target
	limit  time.Duration
	opened func()
	result Result
}

// holdTCP keeps a connection on which nothing is sent but the kernel's own probes. What the server sends is ignored.
func holdTCP(ctx context.Context, t Target, limit time.Duration, opened func()) Result {
	dialing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	watch := start(dialing, "tcp")
	conn, err := dial(dialing, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	defer conn.Close()
	if err := conn.keepAlive(); err != nil {
		return watch.failed("keep a connection to", t.Address, err)
	}
	opened()
	release := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer release()
	for ignored := make([]byte, 512); ; {
		switch err := await(ctx, conn, func() error { _, err := conn.Read(ignored); return err }); {
		case ctx.Err() != nil:
			return watch.failed("kept connection to", t.Address, ctx.Err())
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return watch.failed("kept connection to", t.Address, err)
		}
	}
}

// await lets read wait for holdPing or until ctx ends, whose end must set the deadline of conn.
func await(ctx context.Context, conn interface{ SetReadDeadline(time.Time) error }, read func() error) error {
	if err := conn.SetReadDeadline(time.Now().Add(holdPing)); err != nil {
		return err
	}
	if ctx.Err() != nil { // looked at after the deadline was set, which may have replaced the one that the end of ctx set
		return ctx.Err()
	}
	return read()
}

// keepAlive makes the kernel ask the server on an idle connection, so that it ends at the latest after about 25 s without
// an answer.
func (c *conn) keepAlive() error {
	var err error
	if cerr := c.raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, option, value int }{
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(holdPing / time.Second)},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		} {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), o.level, o.option, o.value)
			}
		}
	}); cerr != nil {
		return cerr
	}
	return os.NewSyscallError("setsockopt SO_KEEPALIVE", err)
}

// drainClosed reads what the peer still sends until it closes, at most until the deadline of conn and so many bytes.
func drainClosed(conn net.Conn, from io.Reader, most int) {
	_ = conn.SetDeadline(time.Now().Add(quitTimeout))
	_, _ = io.CopyN(io.Discard, from, int64(most))
}
