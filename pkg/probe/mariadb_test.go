package probe

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// maxConnectErrors is how many broken connections in a row make the server block a host (sql/hostname.cc).
const maxConnectErrors = 5

// realServer is a MariaDB server in the lab's guest.
type realServer struct {
	address netip.AddrPort
	socket  string
	process *os.Process
}

// mariadb starts a MariaDB on a non-loopback address, because loopback addresses are exempt from the server's host
// cache, and gives that address a name, because the server blocks only hosts whose name it knows. Only in the lab: it
// changes addresses and /etc/hosts.
func mariadb(t *testing.T, options ...string) *realServer {
	t.Helper()
	require.Spoilable(t, "changes addresses and /etc/hosts")
	dir := t.TempDir()
	s := &realServer{address: netip.MustParseAddrPort("10.77.0.11:3306"), socket: filepath.Join(dir, "mysqld.sock")}
	run(t, "", "ip", "link", "add", "rs0", "type", "dummy")
	t.Cleanup(func() { run(t, "", "ip", "link", "del", "rs0") })
	run(t, "", "ip", "addr", "add", "10.77.0.11/24", "dev", "rs0")
	run(t, "", "ip", "link", "set", "rs0", "up")
	if err := os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost\n10.77.0.11 mysql1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	run(t, "", "cp", "-r", "/usr/share/lvs-lab/mariadb", data)
	args := append([]string{
		"--no-defaults", "--user=root", "--datadir=" + data, "--socket=" + s.socket,
		"--pid-file=" + filepath.Join(dir, "pid"), "--bind-address=10.77.0.11", "--port=3306", "--performance-schema=ON",
		"--innodb-use-native-aio=0", "--innodb-buffer-pool-size=32M", "--innodb-buffer-pool-size-max=64M",
		fmt.Sprintf("--max-connect-errors=%d", maxConnectErrors), "--max-connections=10", "--skip-networking=0",
	}, options...)
	cmd := exec.Command("mariadbd", args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = cmd.Process
	t.Cleanup(func() {
		_ = s.process.Signal(syscall.SIGCONT)
		_ = s.process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("mariadbd:\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(s.socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("mariadbd did not start:\n%s", log.String())
		}
	}
	s.sql(t, fmt.Sprintf("CREATE USER '%s'@'10.77.0.%%' IDENTIFIED BY '%s'", user, password))
	return s
}

func run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *realServer) sql(t *testing.T, statement string) string {
	t.Helper()
	return run(t, statement, "mariadb", "--no-defaults", "--socket="+s.socket, "--user=root", "--skip-column-names")
}

// traces are the server's counters of failed connections.
func (s *realServer) traces(t *testing.T) string {
	t.Helper()
	return s.sql(t, `SHOW GLOBAL STATUS WHERE Variable_name IN
		('Aborted_connects', 'Aborted_clients', 'Access_denied_errors', 'Aborted_connects_preauth');
		SELECT IP, HOST, HOST_VALIDATED, SUM_CONNECT_ERRORS, COUNT_HANDSHAKE_ERRORS, COUNT_AUTHENTICATION_ERRORS
		FROM performance_schema.host_cache`)
}

// connectErrors is the number of failed connections of the host that the server has counted since its last login.
func (s *realServer) connectErrors(t *testing.T) int {
	t.Helper()
	count, err := strconv.Atoi(strings.TrimSpace(s.sql(t, "SELECT COALESCE(MAX(SUM_CONNECT_ERRORS), 0) FROM performance_schema.host_cache")))
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func (s *realServer) probe(t *testing.T, limit time.Duration) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return MySQL(ctx, account(s.address))
}

func TestMariaDB(t *testing.T) {
	s := mariadb(t)
	const patience = 20 * time.Second // the guest is slow and shares a processor

	t.Run("200 checks leave no trace", func(t *testing.T) {
		check(t, s.probe(t, patience), health.OK, health.Good, `mysql: answered in .*`)
		before := s.traces(t)
		if !strings.Contains(before, "mysql1\tYES\t0\t0\t0") {
			t.Errorf("the host cache does not know the director:\n%s", before)
		}
		for range 200 {
			check(t, s.probe(t, patience), health.OK, health.Good, `mysql: answered in .*`)
		}
		after := s.traces(t)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("traces (-before +after):\n%s", diff)
		}
		t.Logf("after 201 checks:\n%s", after)
	})
	t.Run("wrong password", func(t *testing.T) {
		target := account(s.address)
		target.Password = "wrong"
		check(t, MySQL(within(t, patience), target), health.Auth, health.Unknown,
			`mysql: login to 10\.77\.0\.11:3306 as lvs_check: Error 1045: Access denied for user 'lvs_check'@'mysql1' .*`)
	})
	t.Run("account blocked for wrong passwords", func(t *testing.T) {
		s.sql(t, "SET GLOBAL max_password_errors=3")
		wrong := account(s.address)
		wrong.Password = "wrong"
		for range 4 {
			MySQL(within(t, patience), wrong)
		}
		check(t, s.probe(t, patience), health.Auth, health.Unknown, `mysql: login to .*: Error 4150: .* then run FLUSH PRIVILEGES there\)`)
		s.sql(t, "FLUSH PRIVILEGES; SET GLOBAL max_password_errors=DEFAULT")
		check(t, s.probe(t, patience), health.OK, health.Good, `mysql: answered in .*`)
	})
	t.Run("full", func(t *testing.T) {
		s.sql(t, "SET GLOBAL max_connections=10")
		var held []*exec.Cmd
		for range 11 { // one more than max_connections is reserved for root
			cmd := exec.Command("mariadb", "--no-defaults", "--socket="+s.socket, "--user=root", "-e", "SELECT SLEEP(600)")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			held = append(held, cmd)
		}
		var got Result
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if got = s.probe(t, patience); got.Class != health.Good {
				break
			}
		}
		for _, cmd := range held {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		check(t, got, health.ServerFull, health.Full, `mysql: (greeting from|login to) 10\.77\.0\.11:3306( as lvs_check)?: Error 1040: Too many connections .*`)
		// The server takes a while to notice the closed connections.
		for deadline := time.Now().Add(patience); s.probe(t, patience).Class != health.Good && time.Now().Before(deadline); {
			time.Sleep(100 * time.Millisecond)
		}
	})
	t.Run("frozen", func(t *testing.T) {
		if err := s.process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		got := s.probe(t, 800*time.Millisecond)
		if err := s.process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		check(t, got, health.Timeout, health.Bad, `mysql: greeting from 10\.77\.0\.11:3306: no answer within 800ms \(it accepts connections.*`)
	})
	t.Run("blocked by bare TCP checks", func(t *testing.T) {
		before := s.traces(t)
		var got Result
		// A login before the server has noticed the last closed connection would reset its count.
		for deadline := time.Now().Add(patience); s.connectErrors(t) < maxConnectErrors && time.Now().Before(deadline); {
			check(t, TCP(within(t, patience), &Target{Address: s.address}), health.OK, health.Good, `tcp: connected in .*`)
		}
		got = s.probe(t, patience)
		check(t, got, health.Blocked, health.Unknown, `mysql: greeting from 10\.77\.0\.11:3306: Error 1129: Host '(mysql1|10\.77\.0\.11)' is blocked.*`)
		if before == s.traces(t) {
			t.Error("bare TCP checks left no trace: the measurement cannot fail")
		}
		s.sql(t, "FLUSH HOSTS")
		// A slow server still has some of the closed connections.
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if got = s.probe(t, patience); got.Class != health.Full {
				break
			}
		}
		check(t, got, health.OK, health.Good, `mysql: answered in .*`)
	})
	t.Run("dead", func(t *testing.T) {
		if err := s.process.Kill(); err != nil {
			t.Fatal(err)
		}
		var got Result
		for deadline := time.Now().Add(patience); time.Now().Before(deadline) && got.Code != health.Refused; time.Sleep(50 * time.Millisecond) {
			got = s.probe(t, patience)
		}
		check(t, got, health.Refused, health.Bad, `mysql: dial 10\.77\.0\.11:3306: connection refused`)
	})
}
