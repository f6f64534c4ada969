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

// farewell is how long a probe waits for the server to close its end after COM_QUIT, within the deadline of the probe.
// A healthy server needs well under a millisecond.
const farewell = 200 * time.Millisecond

func (p *prober) MySQL(c config.MySQLCheck) {
	t := p.target
	t.User = c.User
	p.result = MySQL(p.ctx, t)
}

// MySQL logs in, asks SELECT 1, says COM_QUIT and waits until the server has closed the connection.
//
// Only the whole conversation leaves no trace on the server: without a login it counts as a failed handshake and the
// director's address is blocked at max_connect_errors (1129); without COM_QUIT it counts as an aborted client. So
// COM_QUIT is sent even when ctx ends just after the answer. The account needs no privilege (GRANT
// USAGE); mysql_native_password, caching_sha2_password, sha256_password and MariaDB's ed25519 work, without TLS.
// Server-side the probes are found by their connection attribute program_name=lvs-director.
func MySQL(ctx context.Context, t Target) Result {
	watch := start(ctx, "mysql")
	conn, err := dial(ctx, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	// The driver itself is not given ctx: it would close the connection behind our back, and COM_QUIT with it.
	ended := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	defer release()
	stop := func() {
		if !release() {
			<-ended
		}
	}
	return converse(ctx, watch, conn, t, stop)
}

// converse talks to a server over conn and closes it. When the answer is in it calls stop, at most once, which must keep
// the end of ctx from touching conn any more.
func converse(ctx context.Context, watch stopwatch, conn net.Conn, t Target, stop func()) (result Result) {
	w := newWire(conn)
	defer func() {
		if p := recover(); p != nil { // no bytes from the wire may end the daemon, whatever package reads them
			result = watch.result(health.Protocol, health.Bad,
				fmt.Sprintf("%s %s: its answer broke the MySQL driver: %v", w.stage, t.Address, p))
		}
		_ = conn.Close()
	}()
	connector, err := mysql.NewConnector(driverConfig(w, t))
	if err != nil {
		return watch.result(health.Local, health.Unknown, "configure the driver: "+err.Error())
	}
	session, err := connector.Connect(context.Background())
	if err != nil {
		return watch.refused(ctx, w, t, err)
	}
	defer func() { _ = session.Close() }() // ends the driver's goroutine; does nothing after quit
	w.stage = query
	_, err = session.(driver.ExecerContext).ExecContext(context.Background(), "SELECT 1", nil)
	if err != nil {
		result = watch.refused(ctx, w, t, err)
	} else {
		result = watch.good("answered")
	}
	if w.err == nil { // also after an ERR packet: the session is intact and wants a proper end
		quit(ctx, w, session, stop)
	}
	return result
}

// quit says COM_QUIT and waits for the server, but no longer than ctx or farewell allow.
func quit(ctx context.Context, w *wire, session driver.Conn, stop func()) {
	stop()
	now := time.Now()
	w.linger = now.Add(farewell)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(w.linger) {
		w.linger = deadline
	}
	// Five bytes into an idle connection's buffer: this deadline is never reached, it only lifts the one of ctx.
	_ = w.SetDeadline(now.Add(farewell))
	_ = session.Close()
}

func driverConfig(w *wire, t Target) *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = t.User, t.Password
	cfg.Net, cfg.Addr = "tcp", t.Address.String()
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return w, nil }
	cfg.ConnectionAttributes = "program_name:lvs-director"
	cfg.Logger = &mysql.NopLogger{} // what it would log is in the result
	cfg.CheckConnLiveness = false
	cfg.MaxAllowedPacket = maxPacket // any value but 0, which would cost a query
	return cfg
}

// refused is the result of a conversation that failed with err, as the driver tells it.
func (s stopwatch) refused(ctx context.Context, w *wire, t Target, err error) Result {
	doing := string(w.stage) + " " + t.Address.String()
	if w.stage != greeting && t.User != "" {
		doing += " as " + t.User
	}
	var told *mysql.MySQLError
	switch {
	case errors.As(err, &told):
		code, class, remedy := judge(told.Number)
		sentence := fmt.Sprintf("%s: Error %d: %s", doing, told.Number, printable(told.Message, 200))
		if remedy != "" {
			sentence += " (" + remedy + ")"
		}
		return s.result(code, class, sentence)
	case errors.Is(err, mysql.ErrUnknownPlugin), errors.Is(err, mysql.ErrOldPassword),
		errors.Is(err, mysql.ErrCleartextPassword), errors.Is(err, mysql.ErrNativePassword):
		return s.result(health.Auth, health.Unknown, doing+": the account wants an authentication plugin that the check does not have "+
			"(give it caching_sha2_password or mysql_native_password)")
	case w.err != nil && errors.Is(w.err, errNotMySQL):
		return s.result(health.Protocol, health.Bad, doing+": "+printable(w.err.Error(), 200))
	case w.err != nil:
		return s.broken(ctx, w, doing)
	default:
		return s.result(health.Protocol, health.Bad, doing+": "+printable(err.Error(), 200))
	}
}

// broken is the result of an error of the network in the middle of a conversation.
func (s stopwatch) broken(ctx context.Context, w *wire, doing string) Result {
	err := w.err
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		err = ctx.Err() // tells the end of the time from the end of the daemon
	}
	code, class, sentence := classify(err, s.limit)
	if code == health.Timeout && w.stage == greeting {
		sentence += " (it accepts connections but does not speak: frozen, or out of threads)"
	}
	return s.result(code, class, doing+": "+sentence)
}
