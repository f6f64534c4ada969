package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// holdPing is how often a kept connection is verified: after so long at most it is known that the network has lost it.
const holdPing = 10 * time.Second

// unasked is how many reads of 512 bytes are made of what a server sends on a kept connection without being asked, in holdPing.
const unasked = 128

// errTalks: the server sends so much on a kept connection that reading it would use the director's CPU time.
var errTalks = fmt.Errorf("the server sends without being asked, more than %d times or %d KiB within %v", unasked, unasked/2, holdPing)

// Hold connects to a server as the check t.Kind does, within limit, and then keeps the connection until until ends or the
// connection does. opened is called once it is established. The end of until does not break a login off, that of ctx does, and until
// must end with ctx.
//
// The result says what ended it. One that the server said (health.Result.Said) is no verdict about the server: the
// connection may have been closed by its idle timeout. One that is Unknown is no evidence even of that: the director closed it. A
// kind that keeps no connection has the result Local at once.
func Hold(ctx, until context.Context, t *Target, limit time.Duration, opened func()) Result {
	h := holder{ctx: ctx, until: until, target: t, limit: limit, opened: opened}
	h.result = Result{Code: health.Local, Cause: "this kind of check keeps no connection"}
	if kind, is := t.Kind.(config.Keeper); is {
		kind.Hold(&h)
	}
	return h.result
}

// holder is the config.Holder of Hold. It has a method for each kind of check, in the file of that kind.
type holder struct {
	ctx    context.Context // of the call of Hold that it belongs to
	until  context.Context
	target *Target
	limit  time.Duration
	opened func()
	result Result
}

// holdTCP keeps a connection on which nothing is sent but the kernel's own probes. What the server sends is ignored.
func holdTCP(ctx, until context.Context, t *Target, limit time.Duration, opened func()) Result {
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
	release := context.AfterFunc(until, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer release()
	ignored, reads, since := make([]byte, 512), 0, time.Now()
	for {
		err := await(until, conn, func() error { _, err := conn.Read(ignored); return err })
		if now := time.Now(); now.Sub(since) >= holdPing {
			reads, since = 0, now
		}
		switch reads++; {
		case until.Err() != nil:
			return watch.ended(t.Address, until.Err())
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return watch.ended(t.Address, err)
		case reads > unasked:
			return watch.ended(t.Address, errTalks)
		}
	}
}

// ended is the result of a kept connection to target that ended with an error.
func (w *stopwatch) ended(target netip.AddrPort, err error) Result {
	doing := "kept connection to " + target.String() + ": "
	switch {
	case errors.Is(err, errTalks):
		return w.result(health.Protocol, health.Unknown, doing+errTalks.Error())
	case errors.Is(err, unix.ECONNREFUSED): // an established connection ends so when it had no answer and an ICMP error came from anywhere
		return w.result(health.Unreachable, health.Bad, doing+"no answer, and the port is reported to be unreachable")
	}
	code, class, sentence := classify(err, w.limit)
	return w.result(code, class, doing+sentence)
}

// await lets read wait for holdPing or for the end of until, which must set the deadline of conn.
func await(until context.Context, conn interface{ SetReadDeadline(time.Time) error }, read func() error) error {
	if err := conn.SetReadDeadline(time.Now().Add(holdPing)); err != nil {
		return err
	}
	if until.Err() != nil { // looked at after the deadline was set, which may have replaced the one that the end of until set
		return until.Err()
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

// FileLimit returns how many file descriptors this process may have (RLIMIT_NOFILE, LimitNOFILE= in a unit); 0 if the kernel does not
// tell.
func FileLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
