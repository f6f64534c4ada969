package lab

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
)

// The accounts that every MariaDB of the lab has, from anywhere. Check has no
// privilege at all (USAGE), App all of them on the database `app`, with its
// table `notes (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200))`.
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

// MariaDBOptions are the settings of one server. The zero value is a usable
// server that stands alone.
type MariaDBOptions struct {
	ServerID int // 0 is 1
	Offset   int // auto_increment_offset of a pair with increment 2; 0 is 1
	Port     int // 0 is 3306

	NameResolve       bool     // resolve clients' names: fills the host cache
	PerformanceSchema bool     // for performance_schema.host_cache; costs memory and start-up time
	Extra             []string // further options of mariadbd, "--max-connections=5"
}

// A MariaDB is a real server with data of its own. The methods of Daemon stop,
// kill, freeze it; Start starts it again on the same data.
type MariaDB struct {
	*Daemon
	h       *Host
	options MariaDBOptions
	data    string
	socket  string
	db      *sql.DB
}

const mariadbStart = 90 * time.Second // bounds a start; a guest under load needs 10 s

// StartMariaDB makes a server on the host and waits until it takes
// connections on all addresses. Its data is a copy of the directory
// $LVS_LAB_MYSQL_DATA, or else of one that is made first (10 s in a guest).
func StartMariaDB(h *Host, o MariaDBOptions) *MariaDB {
	h.n.t.Helper()
	m := newMariaDB(h, o)
	m.Start()
	return m
}

// StartMariaDBPair makes two servers that replicate from each other with
// GTID, auto-increment 2/1 and 2/2, as in the seeds' two-master set-ups. The
// options are both servers'; identities and offsets are set here.
func StartMariaDBPair(a, b *Host, o MariaDBOptions) (*MariaDB, *MariaDB) {
	a.n.t.Helper()
	o.ServerID, o.Offset = 1, 1
	first := newMariaDB(a, o)
	o.ServerID, o.Offset = 2, 2
	second := newMariaDB(b, o)
	first.launch()
	second.launch()
	first.ready()
	second.ready()
	Replicate(first, second)
	return first, second
}

func newMariaDB(h *Host, o MariaDBOptions) *MariaDB {
	h.n.t.Helper()
	o.ServerID, o.Offset, o.Port = max(1, o.ServerID), max(1, o.Offset), cmp.Or(o.Port, 3306)
	m := &MariaDB{h: h, options: o, data: h.Path("mysql"), socket: h.Path("mysqld.sock")}
	template := h.n.dataTemplate(h)
	if _, err := execute(h.ns, "", "cp", "-a", "--sparse=always", template, m.data); err != nil {
		h.n.t.Fatalf("lab: copy the data directory: %v", err)
	}
	config := quietConfig(adminUser, adminPassword)
	config.Net, config.Addr = "unix", m.socket
	connector, err := mysql.NewConnector(config)
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	m.db = sql.OpenDB(connector)
	m.db.SetMaxIdleConns(1)
	h.n.t.Cleanup(func() { _ = m.db.Close() })
	return m
}

// Start starts a server that was stopped or killed again, and waits until it
// takes connections.
func (m *MariaDB) Start() {
	m.h.n.t.Helper()
	m.launch()
	m.ready()
}

func (m *MariaDB) launch() {
	m.h.n.t.Helper()
	if m.Daemon != nil && m.Running() {
		m.h.n.t.Fatalf("lab: %s runs already", m.Daemon)
	}
	accounts := m.h.Path("init.sql")
	if err := os.WriteFile(accounts, []byte(initSQL), 0o600); err != nil {
		m.h.n.t.Fatalf("lab: %v", err)
	}
	m.Daemon = m.h.Start("mariadbd", m.argv(accounts)...)
}

func (m *MariaDB) ready() {
	m.h.n.t.Helper()
	m.WaitLog("ready for connections", mariadbStart)
	Eventually(m.h.n.t, 10*time.Second, m.db.Ping)
}

func (m *MariaDB) argv(accounts string) []string {
	program, base := mariadbProgram(m.h)
	o := m.options
	argv := []string{
		program, "--no-defaults", "--user=root", "--basedir=" + base, "--datadir=" + m.data,
		"--socket=" + m.socket, "--pid-file=" + m.h.Path("mysqld.pid"), "--init-file=" + accounts,
		"--bind-address=*", "--port=" + strconv.Itoa(o.Port), "--tmpdir=" + m.data,
		"--server-id=" + strconv.Itoa(o.ServerID), "--log-bin=binlog", "--log-slave-updates",
		"--relay-log=relay", "--gtid-domain-id=0", "--binlog-format=ROW",
		"--auto-increment-increment=2", "--auto-increment-offset=" + strconv.Itoa(o.Offset),
		// Small and quick rather than durable: the data lives a minute, in memory.
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

// mariadbProgram is the server's binary and the tree that it belongs to.
func mariadbProgram(h *Host) (program, base string) {
	h.n.t.Helper()
	program, err := exec.LookPath("mariadbd")
	if err != nil {
		h.n.t.Fatalf("lab: %v (install mariadb-server, or run the scenario with `make test`)", err)
	}
	return program, filepath.Dir(filepath.Dir(program))
}

// preparedData is where the guest keeps a data directory made beforehand.
const preparedData = "/usr/share/lvs-lab/mariadb"

// dataTemplate is a directory of fresh data to copy from.
func (n *Network) dataTemplate(h *Host) string {
	n.t.Helper()
	if prepared := os.Getenv("LVS_LAB_MYSQL_DATA"); prepared != "" {
		return prepared
	}
	if _, err := os.Stat(preparedData); err == nil {
		return preparedData
	}
	made := filepath.Join(n.dir, "mysql-template")
	if _, err := os.Stat(made); err == nil {
		return made
	}
	_, base := mariadbProgram(h)
	argv := []string{
		filepath.Join(base, "bin", "mariadb-install-db"), "--no-defaults", "--basedir=" + base, "--datadir=" + made,
		"--user=root", "--skip-test-db", "--auth-root-authentication-method=normal",
		"--innodb-use-native-aio=0", "--innodb-buffer-pool-size-max=64M", "--innodb-log-file-size=4M", "--aria-log-file-size=8M",
	}
	d := h.Start("mariadb-install-db", argv...)
	if d.Wait(mariadbStart) != 0 {
		n.t.Fatalf("lab: make a data directory: %s", d.tail(20))
	}
	return made
}

// initSQL is run at each start before connections are taken. It stays out of
// the binary log: both servers of a pair make the same rows by themselves.
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

// DB is a pool of connections that come from this host over the network, as
// an application's would. address is "IP:port"; database may be "".
func (h *Host) DB(address, user, password, database string) *sql.DB {
	h.n.t.Helper()
	config := quietConfig(user, password)
	config.Net, config.Addr, config.DBName = "tcp", address, database
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return h.Dial(ctx, network, address)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	db := sql.OpenDB(connector)
	h.n.t.Cleanup(func() { _ = db.Close() })
	return db
}

func quietConfig(user, password string) *mysql.Config {
	config := mysql.NewConfig()
	config.User, config.Passwd = user, password
	config.Timeout, config.ReadTimeout, config.WriteTimeout = 10*time.Second, 30*time.Second, 30*time.Second
	config.Logger = log.New(io.Discard, "", 0) // failures are returned; the driver writes them to stderr too
	return config
}

// Address is the first address of the host with the server's port.
func (m *MariaDB) Address() string { return fmt.Sprintf("%s:%d", m.h.Address(), m.options.Port) }
