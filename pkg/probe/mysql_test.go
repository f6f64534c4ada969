package probe

import (
	"context"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
)

const (
	user     = "lvs_check"
	password = "a secret"
)

func server(t *testing.T, script mysqltest.Script) *mysqltest.Server {
	t.Helper()
	s, err := mysqltest.Listen("127.0.0.1:0", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func account(address netip.AddrPort) *Target {
	return &Target{Address: address, User: user, Password: password}
}

// TestMySQLLeavesNoTrace runs the complete check with every authentication plugin and verifies the server's counters.
func TestMySQLLeavesNoTrace(t *testing.T) {
	for _, plugin := range []mysqltest.Plugin{mysqltest.Native, mysqltest.SHA2, mysqltest.SHA2Full, mysqltest.NoPlugins} {
		for _, secret := range []string{password, ""} {
			t.Run(string(plugin)+"/"+map[bool]string{true: "empty", false: "secret"}[secret == ""], func(t *testing.T) {
				if plugin == mysqltest.SHA2Full && secret == "" {
					t.Skip("an empty password needs no full authentication")
				}
				s := server(t, mysqltest.Script{User: user, Password: secret, Plugin: plugin})
				const rounds = 5
				for range rounds {
					target := account(s.Address())
					target.Password = secret
					got := MySQL(within(t, 5*time.Second), target)
					check(t, got, health.OK, health.Good, `mysql: answered in [0-9.]+(µs|ms|s)`)
				}
				if err := s.Idle(time.Second); err != nil {
					t.Fatal(err)
				}
				program := "lvs-director"
				if plugin == mysqltest.NoPlugins {
					program = ""
				}
				want := mysqltest.Counters{
					Connections: rounds, Queries: rounds, Quits: rounds,
					Programs: map[string]int{program: rounds},
				}
				if diff := cmp.Diff(want, s.Counters()); diff != "" {
					t.Errorf("counters (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestMySQLFaults(t *testing.T) {
	good := mysqltest.Script{User: user, Password: password}
	fail := func(at mysqltest.Stage, number uint16, message string) mysqltest.Script {
		return good.With(at, mysqltest.Fault{Number: number, Message: message})
	}
	raw := func(s string) mysqltest.Script {
		return good.With(mysqltest.AtGreeting, mysqltest.Fault{Raw: []byte(s)})
	}
	const address = `127\.0\.0\.1:\d+`
	tests := map[string]struct {
		script mysqltest.Script
		code   health.Code
		class  health.Class
		cause  string
	}{
		"full, as MySQL says it": {
			fail(mysqltest.AtGreeting, 1040, "Too many connections"), health.ServerFull, health.Full,
			`mysql: greeting from ` + address + `: Error 1040: Too many connections \(raise max_connections.*\)`,
		},
		"full, as MariaDB says it": {
			fail(mysqltest.AtLogin, 1040, "Too many connections"), health.ServerFull, health.Full,
			`mysql: login to ` + address + ` as lvs_check: Error 1040: Too many connections \(raise max_connections.*\)`,
		},
		"account is full": {fail(mysqltest.AtLogin, 1203, "max_user_connections"), health.Limited, health.Unknown, `.*a limit of the check's account.*`},
		"blocked": {
			fail(mysqltest.AtGreeting, 1129, "Host '10.77.0.2' is blocked"), health.Blocked, health.Unknown,
			`mysql: greeting from ` + address + `: Error 1129: Host '10\.77\.0\.2' is blocked \(it blocks this director, not the clients: run FLUSH HOSTS.*\)`,
		},
		"host not allowed":   {fail(mysqltest.AtGreeting, 1130, "Host is not allowed"), health.Auth, health.Unknown, `.*create the check's account for the address of every director\)`},
		"account locked":     {fail(mysqltest.AtLogin, 3118, "Account is locked"), health.Auth, health.Unknown, `.*`},
		"going down":         {fail(mysqltest.AtQuery, 1053, "Server shutdown in progress"), health.Shutdown, health.Bad, `mysql: SELECT 1 on ` + address + ` as lvs_check: Error 1053: Server shutdown in progress`},
		"galera not ready":   {fail(mysqltest.AtQuery, 1047, "WSREP has not yet prepared node"), health.NotReady, health.Bad, `.*1047.*`},
		"offline":            {fail(mysqltest.AtLogin, 3032, "The server is currently in offline mode"), health.Offline, health.Bad, `.*`},
		"any other error":    {fail(mysqltest.AtQuery, 1205, "Lock wait timeout\x00\x1b[1m"), health.Error, health.Unknown, `.*Error 1205: Lock wait timeout\\x00\\x1b\[1m \(the server is alive and refuses the check.*`},
		"of a proxy":         {fail(mysqltest.AtQuery, 9001, "Max connect timeout reached"), health.Error, health.Unknown, `.*9001.*`},
		"no thread":          {fail(mysqltest.AtGreeting, 1135, "Can't create a new thread"), health.Error, health.Bad, `.*cannot serve another client.*`},
		"account blocked":    {fail(mysqltest.AtLogin, 4150, "User is blocked"), health.Auth, health.Unknown, `.*correct password_file, then run FLUSH PRIVILEGES there\)`},
		"wrong password":     {mysqltest.Script{User: user, Password: "other"}, health.Auth, health.Unknown, `mysql: login to ` + address + ` as lvs_check: Error 1045: Access denied for user 'lvs_check'@'127\.0\.0\.1' .*\(check user and password_file.*\)`},
		"wrong password, 8":  {mysqltest.Script{Password: "other", Plugin: mysqltest.SHA2}, health.Auth, health.Unknown, `.*1045.*`},
		"unknown plugin":     {mysqltest.Script{Plugin: mysqltest.Foreign}, health.Auth, health.Unknown, `.*authentication plugin that the check does not support.*`},
		"closed at once":     {good.With(mysqltest.AtGreeting, mysqltest.Fault{HangUp: true}), health.Reset, health.Bad, `mysql: greeting from ` + address + `: connection closed by the server`},
		"reset at once":      {good.With(mysqltest.AtGreeting, mysqltest.Fault{Reset: true}), health.Reset, health.Bad, `mysql: (greeting from|dial) ` + address + `: connection reset by the server`},
		"closed at login":    {good.With(mysqltest.AtLogin, mysqltest.Fault{HangUp: true}), health.Reset, health.Bad, `mysql: login to ` + address + ` as lvs_check: connection closed by the server`},
		"reset at the query": {good.With(mysqltest.AtQuery, mysqltest.Fault{Reset: true}), health.Reset, health.Bad, `mysql: SELECT 1 on ` + address + ` as lvs_check: connection reset by the server`},
		"ssh":                {raw("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), health.Protocol, health.Bad, `mysql: greeting from ` + address + `: not the MySQL protocol: received "SSH-2\.0-OpenSSH_9.*`},
		"a huge packet":      {raw("\xff\xff\xff\x00\x0a"), health.Protocol, health.Bad, `.*not the MySQL protocol.*`},
		"an empty packet":    {raw("\x00\x00\x00\x00"), health.Protocol, health.Bad, `.*not the MySQL protocol.*`},
		"a short greeting":   {raw("\x05\x00\x00\x00\x0a8.0\x00"), health.Protocol, health.Bad, `.*not the MySQL protocol: malformed packet.*`},
		"half a greeting":    {raw("\x4a\x00\x00\x00\x0a8.0"), health.Protocol, health.Bad, `.*not the MySQL protocol: received.*, then the connection was closed`},
		"a short error":      {raw("\x02\x00\x00\x00\xff\x10"), health.Protocol, health.Bad, `.*not the MySQL protocol: malformed packet.*`},
		"protocol 9":         {raw("\x08\x00\x00\x00\x093.23.1\x00"), health.Protocol, health.Bad, `.*not the MySQL protocol: malformed packet.*`},
		"a slow server":      {good.With(mysqltest.AtGreeting, mysqltest.Fault{Delay: 60 * time.Millisecond}), health.OK, health.Good, `mysql: answered in .*`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := server(t, tt.script)
			check(t, MySQL(within(t, 5*time.Second), account(s.Address())), tt.code, tt.class, tt.cause)
			if err := s.Idle(time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMySQLErrorAtQueryIsNoAbort: COM_QUIT is sent even if the server answers SELECT 1 with an error.
func TestMySQLErrorAtQueryIsNoAbort(t *testing.T) {
	s := server(t, mysqltest.Script{}.With(mysqltest.AtQuery, mysqltest.Fault{Number: 1047, Message: "WSREP"}))
	target := account(s.Address())
	target.Password = ""
	MySQL(within(t, 5*time.Second), target)
	if err := s.Idle(time.Second); err != nil {
		t.Fatal(err)
	}
	if c := s.Counters(); c.Quits != 1 || c.AbortedClients != 0 {
		t.Errorf("counters %+v, want one quit and no aborted client", c)
	}
}

// TestMySQLFrozen: the check of a process that is stopped by SIGSTOP, or that stops at any stage, ends at the deadline.
func TestMySQLFrozen(t *testing.T) {
	const deadline = 500 * time.Millisecond // on a slow machine the login alone takes part of it
	for stage, doing := range map[mysqltest.Stage]string{
		mysqltest.AtGreeting: "greeting from", mysqltest.AtLogin: "login to", mysqltest.AtQuery: "SELECT 1 on",
	} {
		t.Run(doing, func(t *testing.T) {
			s := server(t, mysqltest.Script{User: user, Password: password}.With(stage, mysqltest.Fault{Silent: true}))
			began := time.Now()
			got := MySQL(within(t, deadline), account(s.Address()))
			check(t, got, health.Timeout, health.Bad, `mysql: `+doing+` 127\.0\.0\.1:\d+( as lvs_check)?: no answer within \d+ms.*`)
			if took := time.Since(began); took < deadline*9/10 || took > deadline+2*time.Second {
				t.Errorf("took %v, want about %v", took, deadline)
			}
			if frozen := strings.Contains(got.Cause, "frozen"); frozen != (stage == mysqltest.AtGreeting) {
				t.Errorf("cause %q", got.Cause)
			}
		})
	}
}

func TestMySQLRefused(t *testing.T) {
	got := MySQL(within(t, 5*time.Second), account(closedPort(t)))
	check(t, got, health.Refused, health.Bad, `mysql: dial 127\.0\.0\.1:\d+: connection refused`)
}

func TestMySQLCancelled(t *testing.T) {
	s := server(t, mysqltest.Script{}.With(mysqltest.AtGreeting, mysqltest.Fault{Silent: true}))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	check(t, MySQL(ctx, account(s.Address())), health.Local, health.Unknown, `mysql: greeting from 127\.0\.0\.1:\d+: the check was cancelled`)
}

// TestMySQLEndsPolitelyWhenCancelled: a context that ends just after the answer does not cause an aborted client on the
// server. The context ends at various times around the answer; every check that was answered must have sent COM_QUIT.
func TestMySQLEndsPolitelyWhenCancelled(t *testing.T) {
	s := server(t, mysqltest.Script{})
	target := account(s.Address())
	target.Password = ""
	answered := 0
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*5*time.Microsecond)
		if MySQL(ctx, target).Class == health.Good {
			answered++
		}
		cancel()
	}
	if err := s.Idle(time.Second); err != nil {
		t.Fatal(err)
	}
	if c := s.Counters(); c.Quits < answered {
		t.Errorf("%d probes answered and %d quits: %+v", answered, c.Quits, c)
	}
	t.Logf("%d of 300 probes were answered in time: %+v", answered, s.Counters())
}

// TestFrozenServers: a check that waits for a greeting has no driver, whose goroutine and buffer a thousand of them would have, too.
func TestFrozenServers(t *testing.T) {
	const checks = 10
	s := server(t, mysqltest.Script{}.With(mysqltest.AtGreeting, mysqltest.Fault{Silent: true}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := make(chan Result)
	for range checks {
		go func() { results <- MySQL(ctx, account(s.Address())) }()
	}
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all := string(stacks[:runtime.Stack(stacks, true)])
		if strings.Count(all, "(*wire).greet(") == checks {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %d checks wait for a greeting without a driver:\n%s", checks, all)
		}
	}
	cancel()
	for range checks {
		check(t, <-results, health.Local, health.Unknown, `mysql: greeting from .*: the check was cancelled`)
	}
}
