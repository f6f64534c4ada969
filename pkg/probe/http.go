package probe

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// maxHeaders is how much of the headers of an answer is read, in bytes.
const maxHeaders = 64 << 10

func (p *prober) HTTP(c config.HTTPCheck) { p.result = HTTP(p.ctx, p.target, c) }

// HTTP asks for the paths, one after the other, each in a connection of its own, and stops at the first wrong answer. It
// follows no redirection, uses no proxy, and keeps neither cookies nor connections.
func HTTP(ctx context.Context, t *Target, c config.HTTPCheck) Result {
	w := &web{Target: t, check: c, watch: start(ctx, string(c.Type()))}
	var err error
	if w.expected, err = newMatcher(c.Answer); err != nil {
		return w.watch.result(health.Local, health.Unknown, err.Error())
	}
	if c.Secure {
		name := c.ServerName
		if name == "" {
			name = withoutPort(c.Host)
		}
		settings, asked, failed := clientTLS(t, c.TLSOptions, name)
		if failed != nil {
			return w.watch.result(failed.code, failed.class, failed.sentence)
		}
		w.tls, w.asked = settings, asked
	}
	paths := c.Paths.Words()
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	var result Result
	for _, path := range paths {
		r := w.ask(ctx, path)
		if r.Class != health.Good {
			return r
		}
		if result.Code != health.Expires {
			result = r
		}
	}
	result.Took = time.Since(w.watch.started)
	return result
}

// web asks a server for pages.
type web struct {
	*Target
	check    config.HTTPCheck
	watch    *stopwatch
	expected matcher
	tls      *tls.Config  // nil: without
	asked    *atomic.Bool // the server has asked for a certificate
}

// ask asks for one page.
func (w *web) ask(ctx context.Context, path string) Result {
	request, err := w.request(ctx, path)
	if err != nil {
		return w.watch.result(health.Local, health.Unknown, path+": "+printable(err.Error(), 200))
	}
	own := *w.Target // the transport may read it when the check has returned
	dialed := &dialed{target: &own}
	transport := w.transport(dialed)
	defer transport.CloseIdleConnections()
	w.log("%s %s %s, Host: %s", request.Method, path, request.Proto, request.Host)
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return w.failure(ctx, dialed.known(), path, err)
	}
	defer answer.Body.Close()
	w.logAnswer(answer)
	if result := w.status(answer, path); result.Code != health.OK {
		return result
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return w.failure(ctx, dialed.known(), path, err)
	}
	if result := w.body(body, path); result.Code != health.OK {
		return result
	}
	good := w.watch.good(fmt.Sprintf("%s answered with %d", path, answer.StatusCode))
	if answer.TLS == nil {
		return good
	}
	return w.watch.expiry(w.Target, w.check.TLSOptions, *answer.TLS, good, time.Now())
}

func (w *web) request(ctx context.Context, path string) (*http.Request, error) {
	scheme := "http"
	if w.check.Secure {
		scheme = "https"
	}
	method := w.check.Method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, scheme+"://"+w.Address.String()+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Host = w.check.Host
	if r.Host == "" {
		r.Host = w.Address.Addr().Unmap().String()
		if w.Address.Addr().Unmap().Is6() {
			r.Host = "[" + r.Host + "]"
		}
	}
	r.Header.Set("User-Agent", "lvs-director")
	r.Header.Set("Accept-Encoding", "identity") // so that the digest is that of the page
	if w.check.User != "" {
		r.SetBasicAuth(w.check.User, w.Password)
	}
	for _, h := range w.check.Headers.Words() {
		name, content, _ := strings.Cut(h, ":")
		r.Header.Set(name, strings.TrimSpace(content))
	}
	return r, nil
}

// dialed notes what became of the connection of a request, because the transport wraps errors. The transport may still dial when
// the request has ended.
type dialed struct {
	target *Target

	mu    sync.Mutex
	err   error // of the dial
	shook error // of the handshake
	done  bool  // the connection was established, and the handshake made
}

// connection is what is known of a connection.
type connection struct {
	err, shook error
	done       bool
}

func (d *dialed) note(change func(*dialed)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *dialed) known() connection {
	d.mu.Lock()
	defer d.mu.Unlock()
	return connection{d.err, d.shook, d.done}
}

func (d *dialed) dial(ctx context.Context) (net.Conn, error) {
	c, err := dial(ctx, d.target)
	if err != nil {
		d.note(func(d *dialed) { d.err = err })
		return nil, err
	}
	d.target.log("connected to %s", d.target.Address)
	return c, nil
}

func (w *web) transport(d *dialed) *http.Transport {
	t := &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaders,
		Protocols:              new(http.Protocols),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := d.dial(ctx)
			d.note(func(d *dialed) { d.done = err == nil })
			return c, err
		},
	}
	switch second := w.check.Version == "2"; {
	case second && w.tls != nil:
		t.Protocols.SetHTTP2(true)
	case second:
		t.Protocols.SetUnencryptedHTTP2(true)
	default:
		t.Protocols.SetHTTP1(true)
	}
	if w.tls == nil {
		return t
	}
	settings := w.tls.Clone()
	settings.NextProtos = []string{"http/1.1"}
	if w.check.Version == "2" {
		settings.NextProtos = []string{"h2"}
	}
	t.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		raw, err := d.dial(ctx)
		if err != nil {
			return nil, err
		}
		c := tls.Client(raw, settings)
		if err := c.HandshakeContext(ctx); err != nil {
			d.note(func(d *dialed) { d.shook = err })
			_ = raw.Close()
			return nil, err
		}
		w.logTLS(c.ConnectionState())
		d.note(func(d *dialed) { d.done = true })
		return c, nil
	}
	return t
}

// failure is the result of a request without a complete answer.
func (w *web) failure(ctx context.Context, d connection, path string, err error) Result {
	err = ended(ctx, err)
	var op *net.OpError
	switch {
	case ctx.Err() != nil:
		return w.watch.failed(w.doing(d, path), w.Address, ctx.Err())
	case d.err != nil:
		return w.watch.failed("dial", w.Address, d.err)
	case d.shook != nil:
		return w.watch.handshake(ctx, w.Target, d.shook, w.asked.Load())
	case w.asked != nil && isAlert(err): // TLS 1.3 tells it after the handshake
		return w.watch.handshake(ctx, w.Target, err, w.asked.Load())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &op):
		return w.watch.failed(w.doing(d, path), w.Address, err)
	}
	if code, class, sentence := classify(err, w.watch.limit); code != health.Local {
		return w.watch.result(code, class, w.doing(d, path)+" "+w.Address.String()+": "+sentence)
	}
	return w.watch.result(health.Protocol, health.Bad, w.doing(d, path)+" "+w.Address.String()+": "+printable(err.Error(), 200))
}

func (w *web) doing(d connection, path string) string {
	if !d.done {
		return "dial"
	}
	return "answer for " + path + " of"
}

// status judges the version and status of an answer.
func (w *web) status(answer *http.Response, path string) Result {
	where := fmt.Sprintf("%s%s: ", w.Address, path)
	if w.check.Version == "2" && answer.ProtoMajor != 2 {
		return w.watch.result(health.Protocol, health.Bad, where+"the answer is "+answer.Proto+", and not HTTP/2 (set http_version: \"1.1\")")
	}
	want := w.check.Status
	if want == "" {
		want = "200-299"
	}
	if want.Has(answer.StatusCode) {
		return Result{Code: health.OK}
	}
	sentence := where + "status " + printable(answer.Status, 60) + ", want " + want.String()
	switch {
	case answer.StatusCode == http.StatusUnauthorized && w.check.User != "":
		return w.watch.result(health.Auth, health.Unknown, sentence+" (check user and password_file, and the account on the server)")
	case answer.StatusCode == http.StatusTooManyRequests:
		return w.watch.result(health.Blocked, health.Unknown, sentence+" (the server limits this director's requests: check less often, or exempt it)")
	}
	if to := answer.Header.Get("Location"); to != "" {
		sentence += "; it redirects to " + printable(to, 100)
	}
	return w.watch.result(health.Status, health.Bad, sentence)
}

// body judges the content of an answer.
func (w *web) body(body []byte, path string) Result {
	where := fmt.Sprintf("%s%s: ", w.Address, path)
	sum, sum2 := md5.Sum(body), sha256.Sum256(body)
	digests := map[int]string{len(sum): hex.EncodeToString(sum[:]), len(sum2): hex.EncodeToString(sum2[:])}
	w.log("body of %d bytes: md5 %s, sha256 %s: %s", len(body), digests[len(sum)], digests[len(sum2)], excerpt(string(body)))
	compares := w.check.Digest != "" || !w.check.Answer.Any()
	switch got := digests[len(w.check.Digest)/2]; {
	case compares && len(body) > maxAnswer:
		return w.watch.result(health.Content, health.Bad, where+"the body has more than 1 MiB (check a smaller page)")
	case w.check.Digest != "" && got != w.check.Digest:
		return w.watch.result(health.Content, health.Bad, where+"the digest of the body is "+got+", want "+w.check.Digest)
	case !w.expected.matches(string(body)):
		return w.watch.result(health.Content, health.Bad, where+"the body "+excerpt(string(body))+" "+w.expected.missing(string(body)))
	}
	return Result{Code: health.OK}
}

func (w *web) logAnswer(answer *http.Response) {
	if w.Trace == nil {
		return
	}
	w.log("%s %s", answer.Proto, printable(answer.Status, 100))
	for _, name := range slices.Sorted(maps.Keys(answer.Header)) {
		w.log("%s: %s", name, printable(strings.Join(answer.Header[name], ", "), 200))
	}
}

// withoutPort returns the name in a Host header; "" for an address, which is no server name.
func withoutPort(host string) string {
	if u, err := url.Parse("//" + host); err == nil {
		host = u.Hostname()
	}
	if net.ParseIP(host) != nil {
		return ""
	}
	return host
}
