package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Limits of what clients can use.
const (
	maxHeader = 16 << 10
	// maxBody limits the body of a request, if its route has no other limit.
	maxBody = 64 << 10
	// stopWithin is how long a server that stops waits for its clients.
	stopWithin = 2 * time.Second
)

// Serve answers on the listener until ctx ends.
func Serve(ctx context.Context, listener net.Listener, h Handlers, log *slog.Logger) error {
	return newServer(h, log).serve(ctx, Limit(listener, maxConnections))
}

// Remote is how clients of other machines are known: by the names in their certificates.
type Remote struct {
	// TLS returns what new connections use. It is called for each of them, so that certificates can be replaced.
	TLS func() (*tls.Config, error)
	// Accepts returns why a connection that was made before is not accepted any more; nil if it is.
	Accepts func(*tls.ConnectionState) error
	// Admins are the names of those who may change something.
	Admins func() []string
}

// maxRemote limits the connections of other machines.
const maxRemote = 64

// ServeRemote answers clients of other machines on the listener until ctx ends.
func ServeRemote(ctx context.Context, listener net.Listener, h Handlers, remote Remote, log *slog.Logger) error {
	s := newServer(h, log)
	s.remote = &remote
	return s.serve(ctx, tls.NewListener(Limit(listener, maxRemote), &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return remote.TLS() },
	}))
}

// server answers the requests of one listener.
type server struct {
	h      Handlers
	remote *Remote // nil: clients are processes of this machine
	log    *slog.Logger
	// writeWithin limits a single write to a client that follows events.
	writeWithin time.Duration
}

func newServer(h Handlers, log *slog.Logger) *server {
	return &server{h: h, log: log, writeWithin: writeWithin}
}

func (s *server) serve(ctx context.Context, listener net.Listener) error {
	web := &http.Server{
		Handler:           s.mux(ctx),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if web.Shutdown(grace) != nil {
			_ = web.Close()
		}
	})
	err := web.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	if !stop() {
		<-stopped
	}
	return err
}

// mux returns a handler for all routes, and for what is none.
func (s *server) mux(ctx context.Context) http.Handler {
	m := http.NewServeMux()
	handlers := s.handlers(ctx)
	methods := map[string][]string{} // by path
	for _, r := range routes() {
		m.Handle(r.method+" "+r.path, s.admitting(r, handlers[r.id]))
		methods[r.path] = append(methods[r.path], r.method)
	}
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		allowed := methods[r.URL.Path]
		if len(allowed) == 0 {
			refuse(w, http.StatusNotFound, "this daemon has no "+r.URL.Path+": GET /v1/openapi.json describes what it has")
			return
		}
		if slices.Contains(allowed, http.MethodGet) {
			allowed = append(slices.Clone(allowed), http.MethodHead)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		refuse(w, http.StatusMethodNotAllowed, r.URL.Path+": the method must be "+strings.Join(allowed, " or "))
	})
	return m
}

// admitting answers the requests of those who have the role of a route, and refuses the others.
func (s *server) admitting(r route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if why := s.refusal(r.role, req); why != "" {
			w.Header().Set("Connection", "close")
			refuse(w, http.StatusForbidden, why)
			return
		}
		limit := r.maxBody
		if limit == 0 {
			limit = maxBody
		}
		req.Body = http.MaxBytesReader(w, req.Body, limit)
		next.ServeHTTP(w, req)
	})
}
