package mariadb

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// The accounts of every MariaDB of the lab, valid from any host. Check has no privileges (USAGE). App has all
// privileges on the database `app`, which has the table `notes (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200))`.
const (
	CheckUser       = "lvs_check"
	CheckPassword   = "check-secret"
	AppUser         = "app"
	AppPassword     = "app-secret"
	ReplicaUser     = "replica"
	ReplicaPassword = "replica-secret"

	adminUser     = "lab"
	adminPassword = "lab-secret"
)

// Options are the settings of one server. The zero value is a usable standalone server.
type Options struct {
	ServerID int // 0 = 1
	Offset   int // auto_increment_offset, with an increment of 2; 0 = 1
	Port     int // 0 = 3306

	NameResolve       bool     // resolve client names, which fills the host cache
	PerformanceSchema bool     // for performance_schema.host_cache; costs memory and start-up time
	Extra             []string // further options of mariadbd, "--max-connections=5"
}

// A Server is a MariaDB with its own data. The methods of Daemon stop, kill or pause it; Start starts it again on the
// same data.
type Server struct {
	*lab.Daemon
	h       *lab.Host
	options Options
	data    string
	socket  string
	db      *sql.DB
}

const startDeadline = 90 * time.Second // limits a start; a guest under load needs 10 s

// Start creates a server on the host and waits until it accepts connections on all addresses. Its data is a copy of
// $LVS_LAB_MYSQL_DATA, or of the guest's prepared data directory, or of a directory that is created first (10 s in a
// guest).
func Start(h *lab.Host, o Options) *Server {
	h.T().Helper()
	m := newServer(h, o)
	m.Start()
	return m
}

// StartPair creates two servers that replicate from each other with GTID, auto-increment 2/1 and 2/2, as in the seeds'
// two-master set-ups. The options apply to both servers, except ServerID and Offset, which are set here.
func StartPair(a, b *lab.Host, o Options) (*Server, *Server) {
	a.T().Helper()
	o.ServerID, o.Offset = 1, 1
	first := newServer(a, o)
	o.ServerID, o.Offset = 2, 2
	second := newServer(b, o)
	first.launch()
	second.launch()
	first.ready()
	second.ready()
	Replicate(first, second)
	return first, second
}

func newServer(h *lab.Host, o Options) *Server {
	h.T().Helper()
	o.ServerID, o.Offset, o.Port = max(1, o.ServerID), max(1, o.Offset), cmp.Or(o.Port, 3306)
	m := &Server{h: h, options: o, data: h.Path("mysql"), socket: h.Path("mysqld.sock")}
	if o.Port != 3306 { // a second one on the host
		m.data, m.socket = fmt.Sprintf("%s-%d", m.data, o.Port), fmt.Sprintf("%s-%d", m.socket, o.Port)
	}
	h.Run("cp", "-a", "--sparse=always", dataTemplate(h), m.data)
	config := quietConfig(adminUser, adminPassword)
	config.Net, config.Addr = "unix", m.socket
	connector, err := mysql.NewConnector(config)
	if err != nil {
		h.T().Fatalf("lab: %v", err)
	}
	m.db = sql.OpenDB(connector)
	m.db.SetMaxIdleConns(1)
	h.T().Cleanup(func() { _ = m.db.Close() })
	return m
}

// Start starts a stopped or killed server again, and waits until it accepts connections.
func (m *Server) Start() {
	m.h.T().Helper()
	m.launch()
	m.ready()
}

// StartSkipping starts a stopped server again like Start, with skip_name_resolve.
func (m *Server) StartSkipping() {
	m.h.T().Helper()
	m.options.NameResolve = false
	m.Start()
}

func (m *Server) launch() {
	m.h.T().Helper()
	if m.Daemon != nil && m.Running() {
		m.h.T().Fatalf("lab: %s is already running", m.Daemon)
	}
	accounts := m.h.Path("init.sql")
	if err := os.WriteFile(accounts, []byte(initSQL), 0o600); err != nil {
		m.h.T().Fatalf("lab: %v", err)
	}
	m.Daemon = m.h.Start("mariadbd", m.argv(accounts)...)
}

func (m *Server) ready() {
	m.h.T().Helper()
	m.WaitLog("ready for connections", startDeadline)
	lab.Eventually(m.h.T(), 10*time.Second, m.db.Ping)
}

func (m *Server) argv(accounts string) []string {
	path, base := program(m.h)
	o := m.options
	argv := []string{
		path, "--no-defaults", "--user=root", "--basedir=" + base, "--datadir=" + m.data,
		"--socket=" + m.socket, "--pid-file=" + m.socket + ".pid", "--init-file=" + accounts,
		"--bind-address=*", "--port=" + strconv.Itoa(o.Port), "--tmpdir=" + m.data,
		"--server-id=" + strconv.Itoa(o.ServerID), "--log-bin=binlog", "--log-slave-updates",
		"--relay-log=relay", "--gtid-domain-id=0", "--binlog-format=ROW",
		"--auto-increment-increment=2", "--auto-increment-offset=" + strconv.Itoa(o.Offset),
		// Small, and fast rather than durable: the data is only needed for a minute, in memory.
		"--innodb-use-native-aio=0", "--innodb-buffer-pool-size=16M", "--innodb-buffer-pool-size-max=64M",
		"--innodb-log-file-size=4M", "--innodb-log-buffer-size=2M", "--innodb-flush-log-at-trx-commit=0",
		"--innodb-doublewrite=0", "--innodb-buffer-pool-dump-at-shutdown=0", "--innodb-buffer-pool-load-at-startup=0",
		"--innodb-fast-shutdown=1", "--sync-binlog=0", "--key-buffer-size=64K", "--aria-pagecache-buffer-size=1M",
		"--aria-log-file-size=8M", "--query-cache-size=0", "--table-open-cache=100", "--thread-cache-size=8",
		"--max-connections=100", "--log-warnings=2", "--slave-net-timeout=5", "--master-retry-count=0",
	}
	if !o.NameResolve {
		argv = append(argv, "--skip-name-resolve")
	}
	if o.PerformanceSchema {
		argv = append(argv, "--performance-schema=ON", "--performance-schema-max-thread-instances=100",
			"--performance-schema-max-table-instances=100", "--performance-schema-digests-size=10")
	}
	return append(argv, o.Extra...)
}

// program returns the path of the server's binary and the base directory of its installation.
func program(h *lab.Host) (path, base string) {
	h.T().Helper()
	path, err := exec.LookPath("mariadbd")
	if err != nil {
		h.T().Fatalf("lab: %v (install mariadb-server, or run the scenario with `make test`)", err)
	}
	return path, filepath.Dir(filepath.Dir(path))
}

// preparedData is the data directory that guests have (guest.DataDir).
const preparedData = "/usr/share/lvs-lab/mariadb"

// dataTemplate returns an initialised data directory to copy.
func dataTemplate(h *lab.Host) string {
	h.T().Helper()
	if prepared := os.Getenv("LVS_LAB_MYSQL_DATA"); prepared != "" {
		return prepared
	}
	if _, err := os.Stat(preparedData); err == nil {
		return preparedData
	}
	made := filepath.Join(h.Network().Dir(), "mysql-template")
	if _, err := os.Stat(made); err == nil {
		return made
	}
	_, base := program(h)
	argv := []string{
		filepath.Join(base, "bin", "mariadb-install-db"), "--no-defaults", "--basedir=" + base, "--datadir=" + made,
		"--user=root", "--skip-test-db", "--auth-root-authentication-method=normal",
		"--innodb-use-native-aio=0", "--innodb-buffer-pool-size-max=64M", "--innodb-log-file-size=4M", "--aria-log-file-size=8M",
	}
	d := h.Start("mariadb-install-db", argv...)
	if d.Wait(startDeadline) != 0 {
		h.T().Fatalf("lab: create a data directory: %s", d.Tail(20))
	}
	return made
}

// initSQL runs at each start, before the server accepts connections. It is not written to the binary log, because both
// servers of a pair run it themselves.
const initSQL = `SET sql_log_bin=0;
DELETE FROM mysql.global_priv WHERE User='';
FLUSH PRIVILEGES;
CREATE USER IF NOT EXISTS '` + adminUser + `'@'localhost' IDENTIFIED BY '` + adminPassword + `';
GRANT ALL ON *.* TO '` + adminUser + `'@'localhost' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS '` + ReplicaUser + `'@'%' IDENTIFIED BY '` + ReplicaPassword + `';
GRANT REPLICATION SLAVE ON *.* TO '` + ReplicaUser + `'@'%';
CREATE USER IF NOT EXISTS '` + CheckUser + `'@'%' IDENTIFIED BY '` + CheckPassword + `';
CREATE USER IF NOT EXISTS '` + AppUser + `'@'%' IDENTIFIED BY '` + AppPassword + `';
CREATE DATABASE IF NOT EXISTS app;
GRANT ALL ON app.* TO '` + AppUser + `'@'%';
CREATE TABLE IF NOT EXISTS app.notes (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200));
`

// Open returns a pool of connections from the host over the network, as an application has. address is "IP:port";
// database may be "".
func Open(h *lab.Host, address, user, password, database string) *sql.DB {
	h.T().Helper()
	config := quietConfig(user, password)
	config.Net, config.Addr, config.DBName = "tcp", address, database
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return h.Dial(ctx, network, address)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		h.T().Fatalf("lab: %v", err)
	}
	db := sql.OpenDB(connector)
	h.T().Cleanup(func() { _ = db.Close() })
	return db
}

func quietConfig(user, password string) *mysql.Config {
	config := mysql.NewConfig()
	config.User, config.Passwd = user, password
	config.Timeout, config.ReadTimeout, config.WriteTimeout = 10*time.Second, 30*time.Second, 30*time.Second
	config.Logger = log.New(io.Discard, "", 0) // errors are returned; the driver would also log them to stderr
	return config
}

// DefaultsFile writes a file for the program mariadb to log in as an administrator, and returns its path.
func (m *Server) DefaultsFile() string {
	m.h.T().Helper()
	path := m.h.Path("client.cnf")
	text := fmt.Sprintf("[client]\nuser=%s\npassword=%s\nsocket=%s\n", adminUser, adminPassword, m.socket)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.h.T().Fatalf("lab: %v", err)
	}
	return path
}

// Address returns the first IPv4 address of the host with the server's port.
func (m *Server) Address() string { return fmt.Sprintf("%s:%d", m.h.Address(), m.options.Port) }
