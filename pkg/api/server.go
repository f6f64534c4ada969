package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// Group is the system group whose members may use the socket, in addition to root. It need not exist.
const Group = "lvs-director"

// Handlers are the functions that answer a daemon's requests.
type Handlers struct {
	Status func() any
	// Reload reads the cluster file again; its error text is sent to the operator unchanged. Without force it may refuse a
	// file that looks like a mistake.
	Reload func(ctx context.Context, force bool) error
	// Table returns the IPVS table, with foreign only what is not the daemon's. Difference returns what a reload of a file
	// with that name and content would change; without a name, of the daemon's own file. nil: the daemon has no table.
	Table      func(ctx context.Context, foreign bool) (status.Table, error)
	Difference func(ctx context.Context, name string, data []byte) (status.Difference, error)
	// Zero sets the counters of a virtual server, or of all, to zero. nil: the daemon has no table.
	Zero func(ctx context.Context, name, author string) (status.Zeroed, error)
	// Explain returns why a real server, "SERVICE/SERVER", is in or out; Probe makes its checks once. nil: the daemon makes none.
	Explain func(ctx context.Context, server string) (status.Explanation, error)
	Probe   func(ctx context.Context, server string) ([]status.Probe, error)
	// Record returns the last events of a VRRP instance in the text form of vrrp.Trace; of all instances if the name is
	// "".
	Record func(instance string) (string, error)
	// FailOver hands an instance or sync group over to another director, or ends what that has left; it returns a sentence.
	// nil: the daemon has no elections.
	FailOver func(ctx context.Context, name string, release bool) (string, error)
	// Override carries out what an operator, author, has decided about a real server or the director. nil: the daemon is no
	// director.
	Override func(ctx context.Context, r status.OverrideRequest, author string) (status.OverrideResult, error)
	// Live returns how many loops the daemon has, and the names of those that have made no progress for heartbeat.StalledAfter.
	Live func() (loops int, stalled []string)
	// Events is the journal of past and new events.
	Events *journal.Journal
}

// ErrInUse is returned by Listen if another process answers on the socket.
var ErrInUse = errors.New("another daemon answers on it: stop that one or use another --socket")

// Listen opens the Unix socket with mode 0660 for root and Group. It replaces a stale socket file.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := vacate(path); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := admit(path); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return listener, nil
}

// vacate removes a stale socket at path. Only a socket that refuses connections is stale: one with a full backlog
// returns a different error.
func vacate(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return errors.New("the path exists and is not a socket: remove it or use another --socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist): // its daemon has just stopped
		return nil
	case errors.Is(err, fs.ErrPermission):
		return err
	default:
		return ErrInUse
	}
}

func admit(path string) error {
	if group, err := user.LookupGroup(Group); err == nil {
		if gid, err := strconv.Atoi(group.Gid); err == nil {
			// Without CAP_CHOWN the socket keeps the daemon's own group, which is safe.
			_ = os.Chown(path, -1, gid)
		}
	}
	return os.Chmod(path, 0o660)
}

// Serve answers on the listener until ctx ends.
func Serve(ctx context.Context, listener net.Listener, h Handlers, log *slog.Logger) error {
	server := &http.Server{
		Handler:           mux(ctx, h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(Limit(listener, maxConnections))
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	if !stop() {
		<-stopped
	}
	return err
}

func mux(ctx context.Context, h Handlers) http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /v1/events", newStream(ctx, h.Events))
	m.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(h.Status()) // fails only if the client has disconnected
	})
	m.HandleFunc("GET /v1/live", living(h.Live))
	m.HandleFunc("GET /v1/vrrp/record", func(w http.ResponseWriter, r *http.Request) {
		text, err := h.Record(r.URL.Query().Get("instance"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text) // as above
	})
	m.HandleFunc("POST /v1/reload", reloading(h.Reload))
	m.HandleFunc("POST /v1/failover", failingOver(h.FailOver))
	m.HandleFunc("POST /v1/override", overriding(h.Override))
	m.HandleFunc("GET /v1/table", tabling(h.Table))
	m.HandleFunc("POST /v1/zero", zeroing(h.Zero))
	m.HandleFunc("POST /v1/diff", comparing(h.Difference))
	m.HandleFunc("GET /v1/explain", explaining(h.Explain))
	m.HandleFunc("POST /v1/probe", explaining(h.Probe))
	return m
}
