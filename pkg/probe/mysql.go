package probe

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// quitTimeout is how long a probe waits after COM_QUIT for the server to close the connection, within the deadline of
// the probe. A healthy server needs well under a millisecond.
const quitTimeout = 200 * time.Millisecond

func (p *prober) MySQL(c config.MySQLCheck) {
	p.target.User = c.User
	p.result = MySQL(p.ctx, p.target)
}

func (h *holder) MySQL(c config.MySQLCheck) {
	h.target.User = c.User
	h.result = holdMySQL(h.ctx, h.until, h.target, h.limit, h.opened)
}

// MySQL logs in, sends SELECT 1 and COM_QUIT, and waits until the server has closed the connection.
//
// Only the complete sequence leaves no trace on the server: without a login it counts a failed handshake and blocks the
// director's address at max_connect_errors (1129); without COM_QUIT it counts an aborted client. Therefore COM_QUIT is
// sent even if ctx ends just after the answer. The account needs no privileges (GRANT USAGE). mysql_native_password,
// caching_sha2_password, sha256_password and MariaDB's ed25519 are supported, without TLS. On the server, the probes
// can be identified by their connection attribute program_name=lvs-director.
func MySQL(ctx context.Context, t *Target) Result {
	return selectOne.hold(ctx, start(ctx, "mysql"), t)
}

var selectOne = talk{asks: "SELECT 1 on", answer: smallAnswer, ask: func(session driver.Conn) error {
	_, err := session.(driver.ExecerContext).ExecContext(context.Background(), "SELECT 1", nil)
	return err
}}

// talk is what is said to a server after the login.
type talk struct {
	asks   string // "SELECT 1 on", for errors
	answer limits
	// ask returns the driver's error. After an ERR packet the session can still be used.
	ask func(session driver.Conn) error
	// stay, if it is set, has the connection after a good answer, without the driver and without a deadline. Its result is that
	// of the talk.
	stay func(w *wire) Result
}

// hold connects, logs in, asks and disconnects.
//
// Hundreds of checks may wait at once, for a connection here, for a greeting in connected, and below few bytes of stack: a little more,
// and each of them needs 8 KB instead of 4.
func (k *talk) hold(ctx context.Context, watch *stopwatch, t *Target) Result {
	conn, err := dial(ctx, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	return k.connected(ctx, watch, conn, t)
}

// connected waits for the greeting before there is a driver, which has a goroutine and a buffer of its own.
func (k *talk) connected(ctx context.Context, watch *stopwatch, conn net.Conn, t *Target) Result {
	w := k.over(conn)
	// The driver does not get ctx: when ctx ends it would close the connection without sending COM_QUIT.
	w.endWith(ctx)
	if err := w.greet(); err != nil {
		return watch.ungreeted(ctx, w, t, err)
	}
	return k.greeted(ctx, watch, w, t)
}

// ungreeted is the result of a check that had no greeting.
func (s *stopwatch) ungreeted(ctx context.Context, w *wire, t *Target, err error) Result {
	w.release()
	_ = w.Conn.Close()
	return s.refused(ctx, w, t, err)
}

// greeted is the rest of hold.
func (k *talk) greeted(ctx context.Context, watch *stopwatch, w *wire, t *Target) Result {
	defer w.release()
	result := k.converse(ctx, watch, w, t, w.stop)
	if w.kept {
		defer w.Conn.Close()
		return k.stay(w)
	}
	return result
}

// over prepares a connection for the talk.
func (k *talk) over(conn net.Conn) *wire {
	w := newWire(conn, k.answer)
	w.asks = k.asks
	return w
}

// converse has the talk over w and closes it, or leaves it open for stay (wire.kept). After the answer it calls stop, at most once,
// which must prevent the end of ctx from affecting w.
func (k *talk) converse(ctx context.Context, watch *stopwatch, w *wire, t *Target, stop func()) (result Result) {
	defer func() {
		if p := recover(); p != nil { // untrusted input must not terminate the daemon, whichever package parses it
			w.kept, result = false, watch.result(health.Protocol, health.Bad,
				fmt.Sprintf("%s %s: the MySQL driver panicked on its answer: %v", w.doing(), t.Address, p))
		}
		if !w.kept {
			_ = w.Conn.Close()
		}
	}()
	connector, err := mysql.NewConnector(driverConfig(w, t))
	if err != nil {
		return watch.result(health.Local, health.Unknown, "configure the driver: "+err.Error())
	}
	session, err := connector.Connect(context.Background())
	if err != nil {
		return watch.refused(ctx, w, t, err)
	}
	defer func() { _ = session.Close() }() // ends the driver's goroutine; no-op after quit and letGo
	w.stage = query
	if err = k.ask(session); err != nil {
		result = watch.refused(ctx, w, t, err)
	} else if k.stay != nil {
		stop()
		w.letGo(session)
		return result
	} else {
		result = watch.good("answered")
	}
	if w.err == nil { // also after an ERR packet: the session is intact and must be closed properly
		quit(ctx, w, session, stop)
	}
	return result
}

// quit sends COM_QUIT and waits for the server to close, at most until the deadline of ctx or for quitTimeout.
func quit(ctx context.Context, w *wire, session driver.Conn, stop func()) {
	stop()
	now := time.Now()
	w.linger = now.Add(quitTimeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(w.linger) {
		w.linger = deadline
	}
	// Writing five bytes to an idle connection does not block: this deadline only replaces the one set at the end of ctx.
	_ = w.SetDeadline(now.Add(quitTimeout))
	_ = session.Close()
}

func driverConfig(w *wire, t *Target) *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = t.User, t.Password
	cfg.Net, cfg.Addr = "tcp", t.Address.String()
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return w, nil }
	cfg.ConnectionAttributes = "program_name:lvs-director"
	cfg.Logger = &mysql.NopLogger{} // the result contains what it would log
	cfg.CheckConnLiveness = false
	cfg.MaxAllowedPacket = w.most.packet // any value except 0, which would cost an additional query
	return cfg
}

// refused is the result of a check that failed with the driver's error err.
func (s *stopwatch) refused(ctx context.Context, w *wire, t *Target, err error) Result {
	doing := w.doing() + " " + t.Address.String()
	if w.stage != greeting && t.User != "" {
		doing += " as " + t.User
	}
	var sqlErr *mysql.MySQLError
	switch {
	case errors.As(err, &sqlErr):
		code, class, remedy := judge(sqlErr.Number)
		sentence := fmt.Sprintf("%s: Error %d: %s", doing, sqlErr.Number, printable(sqlErr.Message, 200))
		if remedy != "" {
			sentence += " (" + remedy + ")"
		}
		return s.result(code, class, sentence)
	case errors.Is(err, mysql.ErrUnknownPlugin), errors.Is(err, mysql.ErrOldPassword),
		errors.Is(err, mysql.ErrCleartextPassword), errors.Is(err, mysql.ErrNativePassword):
		return s.result(health.Auth, health.Unknown, doing+": the account requires an authentication plugin that the check does not support "+
			"(give it caching_sha2_password or mysql_native_password)")
	case w.err != nil && errors.Is(w.err, errNotMySQL):
		return s.result(health.Protocol, health.Bad, doing+": "+printable(w.err.Error(), 200))
	case w.err != nil:
		return s.broken(ctx, w, doing)
	default:
		return s.result(health.Protocol, health.Bad, doing+": "+printable(err.Error(), 200))
	}
}

// broken is the result of a network error during the check.
func (s *stopwatch) broken(ctx context.Context, w *wire, doing string) Result {
	err := w.err
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		err = ctx.Err() // distinguishes a time-out from the end of the daemon
	}
	code, class, sentence := classify(err, s.limit)
	if code == health.Timeout && w.stage == greeting {
		sentence += " (it accepts connections but sends no greeting: frozen, out of threads, or waiting for DNS to name this director, which skip_name_resolve avoids)"
	}
	return s.result(code, class, doing+": "+sentence)
}
