package probe

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
)

// held is a running Hold.
type held struct {
	cancel context.CancelFunc
	opened chan struct{}
	ended  chan Result
}

func holding(t *testing.T, target *Target, limit time.Duration) held {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	h := held{cancel, make(chan struct{}), make(chan Result, 1)}
	go func() { h.ended <- Hold(t.Context(), ctx, target, limit, func() { close(h.opened) }) }()
	return h
}

// awaitOpen fails the test if the connection is not established.
func (h held) awaitOpen(t *testing.T) {
	t.Helper()
	select {
	case <-h.opened:
	case r := <-h.ended:
		t.Fatalf("it ended before it was established: %+v", r)
	case <-time.After(20 * time.Second):
		t.Fatal("it is not established after 20s")
	}
}

// awaitEnd returns the result.
func (h held) awaitEnd(t *testing.T) Result {
	t.Helper()
	select {
	case r := <-h.ended:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("it has not ended after 20s")
		return Result{}
	}
}

func mysqlKept(address netip.AddrPort, secret string) *Target {
	return &Target{Address: address, Kind: config.MySQLCheck{User: user, Keep: true}, Password: secret}
}

// TestHoldMySQLLeavesNoTrace: a connection that is kept and closed is one login, one statement and one COM_QUIT, with every
// authentication plugin.
func TestHoldMySQLLeavesNoTrace(t *testing.T) {
	for _, plugin := range []mysqltest.Plugin{mysqltest.Native, mysqltest.SHA2, mysqltest.SHA2Full} {
		t.Run(string(plugin), func(t *testing.T) {
			s := server(t, mysqltest.Script{User: user, Password: password, Plugin: plugin})
			h := holding(t, mysqlKept(s.Address(), password), 5*time.Second)
			h.awaitOpen(t)
			h.cancel()
			check(t, h.awaitEnd(t), health.Local, health.Unknown, `mysql: kept connection to .*: the check was cancelled`)
			if err := s.Idle(5 * time.Second); err != nil {
				t.Fatal(err)
			}
			want := mysqltest.Counters{Connections: 1, Queries: 1, Quits: 1, Programs: map[string]int{"lvs-director": 1}}
			if diff := cmp.Diff(want, s.Counters()); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHoldMySQLEnds: what a kept connection reports of how the server ends it, and whether the server has said it.
func TestHoldMySQLEnds(t *testing.T) {
	killed := "\x1c\x00\x00\x00\xff\x87\x07#70100Connection was killed"
	shutdown := "\x24\x00\x00\x01\xff\x1d\x04#08S01Server shutdown in progress"
	tests := map[string]struct {
		say   string
		code  health.Code
		cause string
	}{
		"closed":            {"", health.Reset, `mysql: kept connection to .*: connection closed by the server`},
		"killed":            {packet(killed[4:]), health.Reset, `mysql: kept connection to .*: Error 1927: Connection was killed`},
		"says that it ends": {packet(shutdown[4:]), health.Shutdown, `mysql: kept connection to .*: Error 1053: Server shutdown in progress`},
		"garbage":           {"HTTP/1.1 400 Bad Request\r\n\r\n", health.Protocol, `mysql: kept connection to .*: not the MySQL protocol.*`},
		"an unasked OK":     {packet("\x00\x00\x00\x02\x00\x00\x00"), health.Protocol, `mysql: kept connection to .*: not the MySQL protocol: an answer to nothing`},
		"a lost Galera":     {packet("\xff\x17\x04#08S01WSREP has not yet prepared node"), health.Reset, `mysql: kept connection to .*: Error 1047: WSREP .*`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := server(t, mysqltest.Script{User: user, Password: password})
			h := holding(t, mysqlKept(s.Address(), password), 5*time.Second)
			h.awaitOpen(t)
			s.Cut([]byte(tt.say))
			r := h.awaitEnd(t)
			class := health.Bad
			if tt.code == health.Protocol {
				class = health.Unknown
			}
			check(t, r, tt.code, class, tt.cause)
			if r.Said() != (class == health.Bad) {
				t.Errorf("%+v: what the server said: %v", r, r.Said())
			}
		})
	}
}

func packet(payload string) string {
	return string([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, 0}) + payload
}

// TestHoldMySQLRefused: what a connection that is not established reports.
func TestHoldMySQLRefused(t *testing.T) {
	s := server(t, mysqltest.Script{User: user, Password: "another"})
	h := holding(t, mysqlKept(s.Address(), password), 5*time.Second)
	check(t, h.awaitEnd(t), health.Auth, health.Unknown, `mysql: login to .*: Error 1045: .*`)
	h = holding(t, mysqlKept(closedPort(t), password), 5*time.Second)
	check(t, h.awaitEnd(t), health.Refused, health.Bad, `mysql: dial .*: connection refused`)
	s = server(t, mysqltest.Script{}.With(mysqltest.AtGreeting, mysqltest.Fault{Silent: true}))
	h = holding(t, mysqlKept(s.Address(), ""), 100*time.Millisecond)
	check(t, h.awaitEnd(t), health.Timeout, health.Bad, `mysql: (dial|greeting from) .*: no answer within .*`)
	h = holding(t, &Target{Address: s.Address(), Kind: config.PingCheck{}}, time.Second)
	if r := h.awaitEnd(t); r.Class != health.Unknown {
		t.Errorf("%+v", r)
	}
}

// TestHeldMySQLPing: the answers to COM_PING.
func TestHeldMySQLPing(t *testing.T) {
	tests := map[string]struct {
		fault mysqltest.Fault
		pings int
		limit time.Duration
		code  health.Code // "": it goes on
		cause string
	}{
		"answered": {pings: 10_000, limit: 20 * time.Second}, // more than would fit into the limits of one answer
		"slow":     {fault: mysqltest.Fault{Delay: 5 * time.Millisecond}, pings: 3, limit: 20 * time.Second},
		"silent":   {mysqltest.Fault{Silent: true}, 1, 200 * time.Millisecond, health.Timeout, `mysql: kept connection to .*: no answer to COM_PING within 200ms`},
		"reset":    {mysqltest.Fault{Reset: true}, 1, 20 * time.Second, health.Reset, `mysql: kept connection to .*: connection reset by the server`},
		"an error": {mysqltest.Fault{Number: 1205, Message: "no"}, 1, 20 * time.Second, health.Reset, `mysql: kept connection to .*: Error 1205: no`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := server(t, mysqltest.Script{User: user, Password: password}.With(mysqltest.AtPing, tt.fault))
			target := account(s.Address())
			watch := start(t.Context(), "mysql")
			k := selectOne
			k.stay = func(w *wire) Result {
				h := heldMySQL{w, watch, target, tt.limit}
				h.stage = query
				for range tt.pings {
					if err := h.ping(t.Context()); err != nil {
						return h.ended(err)
					}
				}
				return Result{}
			}
			r := k.hold(within(t, 20*time.Second), watch, target)
			if tt.code == "" {
				if r.Code != "" {
					t.Errorf("%+v", r)
				}
				return
			}
			check(t, r, tt.code, health.Bad, tt.cause)
			if r.Said() == (tt.code == health.Timeout) {
				t.Errorf("said: %v", r.Said())
			}
		})
	}
}

// TestHoldTCP: data is ignored, and the end is reported.
func TestHoldTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target := &Target{Address: l.Addr().(*net.TCPAddr).AddrPort(), Kind: config.TCPCheck{Keep: true}}
	for _, way := range []struct {
		reset bool
		cause string
	}{{false, "connection closed by the server"}, {true, "connection reset by the server"}} {
		h := holding(t, target, 5*time.Second)
		h.awaitOpen(t)
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Write([]byte(strings.Repeat("220 hello\r\n", 1000))); err != nil {
			t.Fatal(err)
		}
		if way.reset {
			_ = peer.(*net.TCPConn).SetLinger(0)
		}
		_ = peer.Close()
		check(t, h.awaitEnd(t), health.Reset, health.Bad, `tcp: kept connection to .*: `+way.cause)
	}
	h := holding(t, target, 5*time.Second)
	h.awaitOpen(t)
	h.cancel()
	check(t, h.awaitEnd(t), health.Local, health.Unknown, `tcp: kept connection to .*: the check was cancelled`)
}

// TestHoldTCPOfAServerThatTalks: of a server that sends without pause only a little is read.
func TestHoldTCPOfAServerThatTalks(t *testing.T) {
	l := listen(t)
	h := holding(t, &Target{Address: l.Addr().(*net.TCPAddr).AddrPort(), Kind: config.TCPCheck{Keep: true}}, 5*time.Second)
	h.awaitOpen(t)
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	written := make(chan int)
	go func() {
		total := 0
		for line := []byte(strings.Repeat("220 hello\r\n", 100)); ; {
			n, err := peer.Write(line)
			if total += n; err != nil {
				written <- total
				return
			}
		}
	}()
	r := h.awaitEnd(t)
	check(t, r, health.Protocol, health.Unknown, `tcp: kept connection to .*: the server sends without being asked, more than 128 times or 64 KiB within 10s`)
	if total := <-written; total > 16<<20 { // what is in the buffers of the kernel counts
		t.Errorf("the server could send %d bytes", total)
	}
}

// TestHoldMySQLFinishesItsLogin: a connection that is let go while it logs in is established and closed, so that the server counts no
// aborted connection.
func TestHoldMySQLFinishesItsLogin(t *testing.T) {
	s := server(t, mysqltest.Script{User: user, Password: password}.With(mysqltest.AtGreeting, mysqltest.Fault{Delay: 50 * time.Millisecond}))
	until, letGo := context.WithCancel(t.Context())
	letGo()
	r := Hold(t.Context(), until, mysqlKept(s.Address(), password), 20*time.Second, func() {})
	check(t, r, health.Local, health.Unknown, `mysql: kept connection to .*: the check was cancelled`)
	if err := s.Idle(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	want := mysqltest.Counters{Connections: 1, Queries: 1, Quits: 1, Programs: map[string]int{"lvs-director": 1}}
	if diff := cmp.Diff(want, s.Counters()); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// TestHoldTCPAndUnreachablePorts: an established connection that ends with the error of an ICMP message had no answer.
func TestHoldTCPAndUnreachablePorts(t *testing.T) {
	r := start(t.Context(), "tcp").ended(netip.MustParseAddrPort("10.77.0.11:3306"), os.NewSyscallError("read", unix.ECONNREFUSED))
	check(t, r, health.Unreachable, health.Bad, `tcp: kept connection to 10\.77\.0\.11:3306: no answer, .*`)
	if r.Said() {
		t.Errorf("%+v is taken for what the server said", r)
	}
}

// TestFileLimit: it is that of the process, as /proc shows it.
func TestFileLimit(t *testing.T) {
	limits, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), fmt.Sprintf("Max open files %d ", FileLimit())) {
		t.Errorf("%d, want the soft limit of\n%s", FileLimit(), limits)
	}
}

// FuzzHeldMySQL feeds a kept connection with bytes that a hostile or broken server may send.
func FuzzHeldMySQL(f *testing.F) {
	for _, said := range []string{"", packet("\x00\x00\x00\x02\x00\x00\x00"), packet("\xff\x87\x07#70100Connection was killed"), packet("\xff\x87\x07"), packet("\xff\x87\x07#"), packet("\x01"), "\xff\xff\xff\x00"} {
		f.Add([]byte(said))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		h := heldMySQL{newWire(recording{sent: bytes.NewReader(said)}, smallAnswer), start(t.Context(), "mysql"), &Target{}, time.Second}
		r := h.stay(t.Context())
		if (r.Class != health.Bad) != (r.Code == health.Protocol) || strings.ContainsAny(r.Cause, "\n\x00\x1b") {
			t.Errorf("%+v", r)
		}
	})
}
