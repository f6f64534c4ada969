package probe

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
	"github.com/lvs-director/lvs-director/pkg/replication"
)

// recording is a connection whose server sends fixed bytes, whatever the client sends, and closes.
type recording struct {
	net.Conn // nil: no other method may be called
	sent     *bytes.Reader
}

func (r recording) Read(p []byte) (int, error)         { return r.sent.Read(p) }
func (r recording) Write(p []byte) (int, error)        { return len(p), nil }
func (r recording) Close() error                       { return nil }
func (r recording) SetDeadline(t time.Time) error      { return nil }
func (r recording) SetReadDeadline(t time.Time) error  { return nil }
func (r recording) SetWriteDeadline(t time.Time) error { return nil }

// FuzzMySQL feeds the probe with bytes that a hostile or broken server may send. The driver must never panic: a panic,
// although recovered, leaks a goroutine.
func FuzzMySQL(f *testing.F) {
	frame := func(sequence byte, payload string) string {
		return string([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, sequence}) + payload
	}
	greet := func(p mysqltest.Plugin) string {
		return frame(0, string(mysqltest.Greeting(p, []byte("abcdefghijklmnopqrst"))))
	}
	mariadb := []byte(greet(mysqltest.Native))
	mariadb[4+1+len("8.0.40-mysqltest")+1+13] &^= 1 // CLIENT_MYSQL absent: MariaDB's extended capabilities follow
	for i := 0; i < 4; i++ {
		mariadb[4+1+len("8.0.40-mysqltest")+1+15+3+2+7+i] = 0xff
	}
	const (
		okay   = "\x00\x00\x00\x02\x00\x00\x00"
		column = "\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00"
	)
	answer := func(n byte) string {
		return frame(n, "\x01") + frame(n+1, column) + frame(n+2, "\x011") + frame(n+3, "\xfe\x00\x00\x02\x00\x00\x00")
	}
	for _, conversation := range []string{
		"", "SSH-2.0-OpenSSH\r\n",
		greet(mysqltest.Native),
		greet(mysqltest.Native) + frame(2, okay) + answer(1),
		greet(mysqltest.NoPlugins) + frame(2, okay) + answer(1),
		greet(mysqltest.SHA2) + frame(2, "\x01\x03") + frame(3, okay) + answer(1),
		greet(mysqltest.SHA2) + frame(2, "\x01\x04") + frame(4, "\x01-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n"),
		greet(mysqltest.Native) + frame(2, "\xfemysql_native_password\x00abc"),
		greet(mysqltest.Native) + frame(2, "\xfesha256_password\x00abc\x00"),
		greet(mysqltest.Native) + frame(2, "\xfeclient_ed25519\x00abcdefghijklmnopqrstuvwxyz012345"),
		greet(mysqltest.Native) + frame(2, "\xfe"),
		greet(mysqltest.Native) + frame(2, "\xff\x10\x04#08004Too many connections"),
		greet(mysqltest.Native) + frame(2, okay) + frame(1, "\xff\x17\x04#08S01WSREP"),
		greet(mysqltest.Native) + frame(2, okay) + frame(1, "\xfb/etc/passwd"),
		greet(mysqltest.Native) + frame(2, okay) + frame(1, okay),
		greet(mysqltest.Native) + frame(2, okay) + frame(1, "\xfc\xff\xff"),
		greet(mysqltest.Native) + frame(2, okay) + answer(1) + answer(1) + answer(1) + answer(1),
		greet(mysqltest.Native) + frame(2, okay) + frame(1, "\x01") + frame(2, column) + frame(3, "\x00") + frame(4, "\xfb") + frame(5, "\xfc\x04\x00abcd") + frame(6, "\xfe\x00\x00\x02\x00\x00\x00"),
		greet(mysqltest.Native) + frame(2, okay) + answer(1) + frame(1, "\xff\x28\x04#42000syntax") + frame(1, "\xff\xcb\x04#42000privilege") + answer(1) + answer(1),
		string(mariadb) + frame(2, okay) + frame(1, "\x01\x01") + frame(2, column) + frame(3, "\x011") + frame(4, "\xfe\x00\x00\x02\x00"),
		string(mariadb) + frame(2, okay) + frame(1, "\x01"),
	} {
		f.Add([]byte(conversation))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn := recording{sent: bytes.NewReader(sent)}
		target := &Target{User: user, Password: password}
		got := selectOne.connected(t.Context(), start(context.Background(), "mysql"), conn, target)
		if strings.Contains(got.Cause, "the MySQL driver panicked") {
			t.Fatalf("%s", got.Cause)
		}
		if (got.Class == health.Good) != (got.Code == health.OK) || !strings.HasPrefix(got.Cause, "mysql: ") {
			t.Fatalf("%+v", got)
		}
		var p replication.Positions
		conn = recording{sent: bytes.NewReader(sent)}
		asks := askPositions(&p)
		got = asks.connected(t.Context(), start(context.Background(), "positions"), conn, target)
		if strings.Contains(got.Cause, "the MySQL driver panicked") {
			t.Fatalf("%s", got.Cause)
		}
	})
}
