package probe

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

func (p *prober) TCP(c config.TCPCheck) {
	if c.Send == "" && c.Answer.Any() {
		p.result = TCP(p.ctx, p.target)
		return
	}
	p.result = Talk(p.ctx, p.target, c)
}

func (h *holder) TCP(config.TCPCheck) {
	h.result = holdTCP(h.ctx, h.until, h.target, h.limit, h.opened)
}

// TCP connects and closes. It shows that connections are accepted on the port, not that the service works: the kernel
// accepts connections for a frozen process as well.
//
// The connection ends with a FIN, like an ordinary client's. A reset would save the director a socket in TIME_WAIT, but
// appears as an error in the logs and counters of most servers. MySQL counts both as a failed handshake and eventually
// blocks the director: use the MySQL probe there.
func TCP(ctx context.Context, t *Target) Result {
	watch := start(ctx, "tcp")
	conn, err := reach(ctx, t)
	return watch.reached(t, conn, err)
}

// reached is the result of a dial. It is apart from TCP because it is not on the stack while the check waits.
func (w *stopwatch) reached(t *Target, conn *conn, err error) Result {
	if err != nil {
		return w.failed("dial", t.Address, err)
	}
	t.log("connected to %s", t.Address)
	result := w.good("connected")
	_ = conn.Close() // the result is known; no error of close concerns the server
	return result
}

// Talk connects, sends c.Send, and reads until the answer is as expected. Without an expectation it does not read.
func Talk(ctx context.Context, t *Target, c config.TCPCheck) Result {
	watch := start(ctx, "tcp")
	expected, err := newMatcher(c.Answer)
	if err != nil {
		return watch.result(health.Local, health.Unknown, err.Error())
	}
	conn, err := dial(ctx, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	defer conn.Close()
	defer conn.endWith(ctx)()
	t.log("connected to %s", t.Address)
	if c.Send != "" {
		if _, err := io.WriteString(conn, c.Send); err != nil {
			return watch.failed("send to", t.Address, ended(ctx, err))
		}
		t.log("sent %q", c.Send)
	}
	if c.Answer.Any() {
		return watch.good("sent")
	}
	return readUntil(ctx, watch, t, conn, expected)
}

// readUntil reads until the answer is as expected.
func readUntil(ctx context.Context, watch *stopwatch, t *Target, from io.Reader, expected matcher) Result {
	var answer []byte
	part := make([]byte, 4096)
	for len(answer) < maxTalk {
		n, err := from.Read(part)
		if answer = append(answer, part[:n]...); n > 0 {
			t.log("received %q", part[:n])
			if expected.matches(string(answer)) {
				return watch.good("answered")
			}
		}
		switch err = ended(ctx, err); {
		case err == nil:
		case len(answer) > 0 && (errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)):
			return watch.result(health.Content, health.Bad, t.Address.String()+": the answer "+excerpt(string(answer))+" "+expected.missing(string(answer)))
		default:
			return watch.failed("answer of", t.Address, err)
		}
	}
	return watch.result(health.Content, health.Bad, t.Address.String()+": the first 64 KiB of the answer are not what is expected: it "+expected.missing(string(answer)))
}

// maxTalk is how much of an answer over TCP is read: an expression is matched against all of it after each packet.
const maxTalk = 64 << 10

// endWith makes the end of ctx end what the connection does. The result stops that.
func (c *conn) endWith(ctx context.Context) (stop func()) {
	release := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return func() { release() }
}

// ended returns the error of ctx for that which its end has caused.
func ended(ctx context.Context, err error) error {
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
