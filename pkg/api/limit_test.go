package api

import (
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestConnectionsAreLimited: connections beyond the limit are closed at once, and when others end there is room again.
func TestConnectionsAreLimited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(t.Context(), listener, Handlers{Status: func() any { return "here" }}, quiet)
	}()
	ask := func() (net.Conn, error) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write([]byte("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")) // fails if it is closed already
		_, err = io.ReadFull(conn, make([]byte, 12))
		return conn, err
	}
	var all []net.Conn
	for n := range maxConnections {
		conn, err := ask()
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		all = append(all, conn)
	}
	conn, err := ask()
	if err == nil {
		t.Error("a connection beyond the limit is answered")
	}
	_ = conn.Close()
	for _, conn := range all {
		_ = conn.Close()
	}
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		conn, err := ask()
		_ = conn.Close()
		if err == nil {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("after the others have ended: %v", err)
		}
	}
}
