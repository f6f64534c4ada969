package scrape

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/metrics"
)

// noBlock opens a FIFO at once.
const noBlock = syscall.O_NONBLOCK | syscall.O_CLOEXEC

// Limits of the server.
const (
	maxConnections = 16
	maxScrapes     = 2 // at a time; others wait
	waitForScrape  = 5 * time.Second
	maxHeader      = 16 << 10
	headerWithin   = 5 * time.Second
	readWithin     = 10 * time.Second
	writeWithin    = 10 * time.Second
	// restFactor is how many times as long as a scrape its place stays taken, at most mostRest: scrapes one after the other would
	// take the CPU that elections use too.
	restFactor = 10
	mostRest   = time.Second

	idleFor    = 2 * time.Minute // Prometheus scrapes every minute by default
	stopWithin = time.Second
)

// Options are what is published, and how.
type Options struct {
	// Metrics returns what the metrics are made from.
	Metrics func(context.Context) metrics.Node
	// Web returns the web configuration. It is called for each handshake and each request, so that certificates and passwords can be
	// replaced without a reload; an error refuses the connection or the request.
	Web func() (Web, error)
	// TLS: the port speaks TLS. Whether it does is decided when it is opened: no request is answered without TLS because a file is
	// broken.
	TLS bool
	Log *slog.Logger
}

// Serve answers scrapes on the listener until ctx ends, and closes it.
func Serve(ctx context.Context, listener net.Listener, o Options) error {
	h := &handler{o: o, scrapes: make(chan struct{}, maxScrapes)}
	listener = api.Limit(listener, maxConnections)
	if o.TLS {
		listener = tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			w, err := o.Web()
			if err == nil && w.tls == nil {
				err = errors.New("web_config has no tls_server_config any more: run lvsctl reload to publish without TLS")
			}
			return w.tls, err
		}})
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerWithin, ReadTimeout: readWithin, WriteTimeout: writeWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	if !stop() {
		<-stopped
	}
	return err
}

// handler answers requests.
type handler struct {
	o         Options
	scrapes   chan struct{} // an element for each scrape in progress
	passwords passwords
}

// refuse sends an error and ends the connection, of which there is a limited number.
func refuse(w http.ResponseWriter, text string, code int) {
	w.Header().Set("Connection", "close")
	http.Error(w, text, code)
}

// clientOf returns the address from which a request comes.
func clientOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	web, err := h.o.Web()
	switch {
	case err != nil:
		refuse(w, "the web configuration of this daemon cannot be used: see lvsctl status", http.StatusInternalServerError)
		return
	case web.TLS() && r.TLS == nil:
		refuse(w, "the web configuration asks for TLS, but this port has none yet: run lvsctl reload", http.StatusInternalServerError)
		return
	case !web.Accepts(r.TLS):
		refuse(w, "this connection has no certificate that is accepted now: connect again", http.StatusForbidden)
		return
	case !h.admitted(w, r, web):
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, "metrics can only be read", http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case "/metrics":
		h.scrape(w, r)
	case "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>lvs-director</title><a href=\"/metrics\">Metrics</a>\n") // fails only if the client has gone
	default:
		refuse(w, "not found: the metrics are at /metrics", http.StatusNotFound)
	}
}

// admitted reports whether a request may be answered, and refuses it otherwise.
func (h *handler) admitted(w http.ResponseWriter, r *http.Request, web Web) bool {
	if len(web.users) == 0 {
		return true
	}
	user, password, given := r.BasicAuth()
	if !given {
		w.Header().Set("WWW-Authenticate", `Basic realm="metrics"`)
		refuse(w, "a user and a password are needed", http.StatusUnauthorized)
		return false
	}
	switch h.passwords.check(web.users, clientOf(r), user, password, time.Now) {
	case right:
		return true
	case tooMany:
		w.Header().Set("Retry-After", "1")
		refuse(w, "too many wrong passwords", http.StatusTooManyRequests)
	default:
		w.Header().Set("WWW-Authenticate", `Basic realm="metrics"`)
		refuse(w, "wrong user or password", http.StatusUnauthorized)
	}
	return false
}

func (h *handler) scrape(w http.ResponseWriter, r *http.Request) {
	late := time.NewTimer(waitForScrape)
	defer late.Stop()
	select {
	case h.scrapes <- struct{}{}:
		begun := time.Now()
		defer func() { time.AfterFunc(min(restFactor*time.Since(begun), mostRest), func() { <-h.scrapes }) }()
	case <-r.Context().Done():
		return
	case <-late.C:
		w.Header().Set("Retry-After", "5")
		refuse(w, "other scrapes are in progress", http.StatusServiceUnavailable)
		return
	}
	node := h.o.Metrics(r.Context())
	w.Header().Set("Content-Type", metrics.ContentType)
	if r.Method == http.MethodHead {
		return
	}
	var to io.Writer = w
	if acceptsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		packed, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // fails only for an unknown level
		defer packed.Close()
		to = packed
	}
	_ = metrics.Write(yielding{to}, node) // fails only if the client has gone
}

// acceptsGzip reports whether a client understands gzip, as the header of Prometheus says.
func acceptsGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}

// yielding lets other goroutines run after each piece, because the elections may have the same CPU.
type yielding struct{ to io.Writer }

// Write implements io.Writer.
func (y yielding) Write(b []byte) (int, error) {
	n, err := y.to.Write(b)
	runtime.Gosched()
	return n, err
}
