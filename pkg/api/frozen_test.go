package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// frozen returns a client of a process that is stopped: the kernel accepts connections for it, and nobody answers.
func frozen(t *testing.T) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := NewClient(path)
	c.Timeout = 50 * time.Millisecond
	return c
}

// requests are all requests of a client.
func requests() map[string]func(context.Context, *Client) error {
	ignore := func(event.Event) error { return nil }
	return map[string]func(context.Context, *Client) error{
		"status":    func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err },
		"record":    func(ctx context.Context, c *Client) error { _, err := c.Record(ctx, ""); return err },
		"reload":    func(ctx context.Context, c *Client) error { return c.Reload(ctx, false) },
		"events":    func(ctx context.Context, c *Client) error { return c.Events(ctx, time.Time{}, false, ignore) },
		"following": func(ctx context.Context, c *Client) error { return c.Events(ctx, time.Time{}, true, ignore) },
	}
}

func TestFrozenDaemon(t *testing.T) {
	for name, request := range requests() {
		c := frozen(t)
		err := request(t.Context(), c)
		if want := "socket " + c.Socket + ": the daemon does not answer within 50ms: "; !errors.Is(err, ErrSilent) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// A daemon that has been frozen for long has a full queue of connections, which refuses others at once.
func TestFrozenDaemonWithAFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	for name, request := range requests() {
		if err := request(t.Context(), NewClient(path)); !errors.Is(err, ErrSilent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// During a reload the daemon sends signs of life, whatever the server's deadline for a response is.
func TestReloadSendsSignsOfLife(t *testing.T) {
	release := make(chan error)
	client, stop := serve(t, Handlers{Reload: func(context.Context, bool, string) error { return <-release }})
	defer stop()
	conn, err := net.Dial("unix", client.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /v1/reload HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	next := func() string {
		for lines.Scan() && lines.Text() == "" {
		}
		return lines.Text()
	}
	for range 2 {
		if line := next(); line != "HTTP/1.1 102 Processing" {
			t.Fatalf("received %q", line)
		}
	}
	release <- nil
	line := next()
	for line == "HTTP/1.1 102 Processing" {
		line = next()
	}
	if line != "HTTP/1.1 204 No Content" {
		t.Errorf("received %q", line)
	}
}

// A client waits as long as there are signs of life.
func TestLongReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := NewClient(path)
	c.Timeout = 2 * time.Second
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil { // the client takes an earlier line for a stray one
			return
		}
		for range 25 {
			_, _ = io.WriteString(conn, "HTTP/1.1 102 Processing\r\n\r\n")
			time.Sleep(100 * time.Millisecond)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	if err := c.Reload(t.Context(), false); err != nil {
		t.Error(err)
	}
}
