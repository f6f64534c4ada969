package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestListenOnAFreshPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "s")
	l, err := Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o660 {
		t.Errorf("mode %o, want 660", mode)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket file was not removed")
	}
}

func TestListenReplacesWhatADeadDaemonLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestListenLeavesALivingDaemonAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(path, quiet); !errors.Is(err, ErrInUse) {
		t.Errorf("%v, want %v", err, ErrInUse)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("it was removed: %v", err)
	}
	_ = conn.Close()
}

// A daemon with a full backlog is alive.
func TestListenLeavesABusyDaemonAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("unix", path) // fills the backlog
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if _, err := Listen(path, quiet); !errors.Is(err, ErrInUse) {
		t.Errorf("%v, want %v", err, ErrInUse)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("its socket was removed: %v", err)
	}
}

func TestListenLeavesOtherFilesAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		if _, err := Listen(path, quiet); err == nil || !strings.Contains(err.Error(), "remove it or use another --socket") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
}

var quiet = slog.New(slog.DiscardHandler)

// serve serves h until the test ends.
func serve(t *testing.T, h Handlers) (client *Client, stop func()) {
	t.Helper()
	return serveFrom(t, newServer(h, quiet))
}

func serveFrom(t *testing.T, s *server) (client *Client, stop func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, l) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return NewClient(path), stop
}

func TestStatusAndReload(t *testing.T) {
	refusal := errors.New("cluster.yaml:1:1: version: 2 is not 1\ncluster.yaml:2:1: directors: is empty")
	var refuse error
	client, stop := serve(t, Handlers{
		Status: func() any { return map[string]string{"node": "lvs-master"} },
		Reload: func(context.Context, bool, string) error { return refuse },
	})
	if text, err := client.Status(t.Context()); err != nil || strings.Join(strings.Fields(string(text)), "") != `{"node":"lvs-master"}` {
		t.Errorf("%q, %v", text, err)
	}
	if err := client.Reload(t.Context(), false); err != nil {
		t.Error(err)
	}
	refuse = refusal
	if err := client.Reload(t.Context(), false); err == nil || err.Error() != refusal.Error() {
		t.Errorf("%v, want the problems unchanged", err)
	}
	stop()
	if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "no daemon answers") {
		t.Errorf("after the end: %v", err)
	}
}

func TestRecord(t *testing.T) {
	asked := "nothing"
	var refuse error
	client, stop := serve(t, Handlers{Record: func(instance string) (string, error) {
		asked = instance
		return "params vrid=51\n", refuse
	}})
	if text, err := client.Record(t.Context(), "a&b c"); err != nil || string(text) != "params vrid=51\n" || asked != "a&b c" {
		t.Errorf("%q, %v; asked for %q", text, err, asked)
	}
	refuse = errors.New("no such instance")
	if _, err := client.Record(t.Context(), ""); err == nil || err.Error() != "no such instance" || asked != "" {
		t.Errorf("%v; asked for %q", err, asked)
	}
	stop()
}

// A client that sends nothing must not prevent a daemon from stopping.
func TestServeEndsWithAClientThatHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, Handlers{}, slog.New(slog.DiscardHandler)) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil { // it ends: without a limit it would wait for the client
		t.Error(err)
	}
}
