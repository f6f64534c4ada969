package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
)

// The check of the scenarios with MariaDB, and the limits that follow from it for taking a server out and putting it
// back.
const (
	mysqlCheck    = "{type: mysql, interval: 500ms, timeout: 500ms, fall: 2, rise: 3, user: lvs_check, password_file: PASSWORD_FILE}"
	checkInterval = 500 * time.Millisecond
	checkTimeout  = 500 * time.Millisecond
	outWithin     = 2*checkInterval + checkTimeout
	backWithin    = 3*checkInterval + checkTimeout
	backNotBefore = 2*checkInterval - checkTimeout // the first good check may already have been sent

	rs1, rs2 = "10.77.0.11:3306", "10.77.0.12:3306"
)

// databases is a cluster whose real servers run two MariaDB servers that replicate from each other. MariaDB is started;
// our daemons are not.
type databases struct {
	*cluster
	one, two *mariadb.Server // on mysql1 and mysql2
	users    *lab.Host       // the applications' host; each application has its own address from 10.77.0.61 on
}

func newDatabases(t *testing.T, s shape, o mariadb.Options) *databases {
	t.Helper()
	if s.check == "" {
		s.check = mysqlCheck
	}
	d := &databases{cluster: newCluster(t, s)}
	d.configure(s)
	for _, server := range []*node{d.mysql1, d.mysql2} { // a server that resolves client names finds the directors
		server.HostsFile("127.0.0.1 localhost\n10.77.0.2 lvs-master\n10.77.0.3 lvs-backup\n10.77.0.11 mysql1\n10.77.0.12 mysql2\n")
	}
	d.users = d.net.Host("users", d.lan.At("10.77.0.60/24"))
	for user := 61; user < 70; user++ {
		d.users.Run("ip", "addr", "add", fmt.Sprintf("10.77.0.%d/24", user), "dev", "eth0")
	}
	d.one, d.two = mariadb.StartPair(d.mysql1.Host, d.mysql2.Host, o)
	return d
}

// configure writes the cluster file of the shape, and the check's password file.
func (d *databases) configure(s shape) {
	d.t.Helper()
	file := d.net.File("check.password", mariadb.CheckPassword)
	d.net.File("cluster.yaml", strings.ReplaceAll(s.file(), "PASSWORD_FILE", file))
}

// A session is an open login of an application, through the VIP or directly to a server.
type session struct {
	user   string // its address
	server string // @@hostname
	id     string // CONNECTION_ID(), which shows whether the session was replaced by a new one
	wire   net.Conn
	conn   *sql.Conn
}

// login opens a session from the address user of the users' host to address, an "IP:port".
func (d *databases) login(user, address string) (*session, error) {
	d.t.Helper()
	target := netip.MustParseAddrPort(address).Addr()
	d.users.Run("ip", "route", "replace", target.String(), "dev", "eth0", "src", user)
	s := &session{user: user}
	config := mysql.NewConfig()
	config.User, config.Passwd, config.DBName = mariadb.AppUser, mariadb.AppPassword, "app"
	config.Net, config.Addr, config.Logger = "tcp", address, &mysql.NopLogger{}
	config.DialFunc = func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		s.wire, err = d.users.Dial(ctx, network, address)
		return s.wire, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withDeadline()
	defer cancel()
	db := sql.OpenDB(connector)
	d.t.Cleanup(func() { _ = db.Close() })
	if s.conn, err = db.Conn(ctx); err != nil {
		return nil, err
	}
	s.server, s.id, err = s.ask()
	return s, err
}

// mustLogin repeats login until it succeeds, as an application does.
func (d *databases) mustLogin(user, address string) (s *session) {
	d.t.Helper()
	lab.Eventually(d.t, soon, func() (err error) {
		s, err = d.login(user, address)
		return err
	})
	return s
}

// withDeadline returns a context with the deadline for one exchange with a server, 5 s.
func withDeadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Second)
}

func (s *session) ask() (server, id string, err error) {
	ctx, cancel := withDeadline()
	defer cancel()
	err = s.conn.QueryRowContext(ctx, "SELECT @@hostname, CONNECTION_ID()").Scan(&server, &id)
	return server, id, err
}

// unchanged returns nil if the session is still the same one.
func (s *session) unchanged() error {
	server, id, err := s.ask()
	if err == nil && (server != s.server || id != s.id) {
		err = fmt.Errorf("now %s/%s", server, id)
	}
	if err != nil {
		return fmt.Errorf("the session of %s on %s/%s: %w", s.user, s.server, s.id, err)
	}
	return nil
}

// awaitReset writes a packet (COM_PING) and waits for the end of the connection. It returns how long that took; an
// error means that the application would have hung.
func (s *session) awaitReset(limit time.Duration) (time.Duration, error) {
	begun := time.Now()
	if err := s.wire.SetDeadline(begun.Add(limit)); err != nil {
		return 0, err
	}
	if _, err := s.wire.Write([]byte{1, 0, 0, 0, 0x0e}); err != nil {
		return time.Since(begun), nil
	}
	for buffer := make([]byte, 512); ; { // discards what the server sent before
		_, err := s.wire.Read(buffer)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return time.Since(begun), fmt.Errorf("no answer and no reset within %s", limit)
		case err != nil:
			return time.Since(begun), nil
		}
	}
}

// awaitTableChange waits until the node's director logs that it added the real server to its table, or removed it, and
// returns when the log line came. ipvsadm must agree.
func (n *node) awaitTableChange(mark lab.LogMark, server string, in bool) time.Time {
	n.t.Helper()
	verb := map[bool]string{true: "-a", false: "-d"}[in]
	at := mark.WaitLog(fmt.Sprintf(`change="ipvsadm %s -t %s -r %s[ "]`, verb, vipPort, server), soon).At
	if err := inTable(n, server, in)(); err != nil {
		n.t.Error(err)
	}
	return at
}

// afterCheck waits until a check that the node makes of the server has just ended: a failure of the server that begins
// now takes longest to detect.
func (n *node) afterCheck(server *node) {
	n.t.Helper()
	c := capture.Start(server.Host, "eth0", fmt.Sprintf("tcp[tcpflags] & tcp-fin != 0 and src host %s and dst port 3306", n.Address()))
	c.Wait("", soon)
	c.Stop()
}
