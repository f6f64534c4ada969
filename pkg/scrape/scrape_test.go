package scrape

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/status"
)

func some(context.Context) metrics.Node {
	return metrics.Node{Agent: &status.Agent{}, Head: status.Head{Node: "mysql1"}}
}

// put writes a file beside the others of a test.
func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificate writes web.crt and web.key for 127.0.0.1, and returns the certificate.
func certificate(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "web.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	put(t, dir, "web.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hashOf returns the hash of a password that is cheap to compare.
func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// serve publishes until the end of the test, and returns the address.
func serve(t *testing.T, o Options) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Log = slog.New(slog.DiscardHandler)
	if o.Metrics == nil {
		o.Metrics = some
	}
	if o.Web == nil {
		o.Web = func() (Web, error) { return Web{}, nil }
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Serve(ctx, listener, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// ask makes a request, and returns the status and the body.
func ask(t *testing.T, client *http.Client, method, url, user, password string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func client(c *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
}

func TestRequests(t *testing.T) {
	at := "http://" + serve(t, Options{})
	for _, tt := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/metrics", 200, "lvs_build_info{"},
		{"HEAD", "/metrics", 200, ""},
		{"GET", "/", 200, `href="/metrics"`},
		{"GET", "/other", 404, "/metrics"},
		{"POST", "/metrics", 405, "read"},
		{"DELETE", "/", 405, "read"},
	} {
		code, body := ask(t, client(nil), tt.method, at+tt.path, "", "")
		if code != tt.code || !strings.Contains(body, tt.body) || tt.method == "HEAD" && body != "" {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, code, body)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", at+"/metrics", nil)
	r.Header.Set("Accept-Encoding", "deflate, gzip;q=0.9")
	answer, err := client(nil).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	unpacked, err := gzip.NewReader(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(unpacked); err != nil || !strings.Contains(string(body), "lvs_build_info{") || answer.Header.Get("Content-Type") != metrics.ContentType {
		t.Errorf("%v, %v: %s", err, answer.Header, body)
	}
}

// TestLimits: scrapes beyond the limit wait.
func TestLimits(t *testing.T) {
	going, end := make(chan struct{}), make(chan struct{})
	at := serve(t, Options{Metrics: func(ctx context.Context) metrics.Node {
		going <- struct{}{}
		<-end
		return some(ctx)
	}})
	answers := make(chan int)
	for range maxScrapes + 1 {
		go func() {
			code, _ := ask(t, client(nil), "GET", "http://"+at+"/metrics", "", "")
			answers <- code
		}()
	}
	for range maxScrapes {
		<-going
	}
	select {
	case <-going:
		t.Error("too many scrapes at a time")
	default:
	}
	end <- struct{}{}
	<-going // the one that has waited
	close(end)
	for range maxScrapes + 1 {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
}

// fakeListener delivers connections without a network.
type fakeListener struct{ conns chan net.Conn }

func (l fakeListener) Accept() (net.Conn, error) {
	if c, open := <-l.conns; open {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l fakeListener) Close() error   { return nil }
func (l fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestConnections: those beyond the limit are closed at once, and the others when no request comes.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeListener{make(chan net.Conn)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = Serve(t.Context(), l, Options{Metrics: some, Web: func() (Web, error) { return Web{}, nil }, Log: slog.New(slog.DiscardHandler)})
		}()
		var all []net.Conn
		for range 4 * maxConnections {
			near, far := net.Pipe()
			l.conns <- far
			all = append(all, near)
		}
		open := func() (n int) {
			for _, c := range all {
				_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
				if _, err := c.Read(make([]byte, 1)); os.IsTimeout(err) {
					n++
				}
			}
			return n
		}
		if n := open(); n != maxConnections {
			t.Errorf("%d connections are open, want %d", n, maxConnections)
		}
		time.Sleep(headerWithin)
		if n := open(); n != 0 {
			t.Errorf("%d connections are open after %s", n, headerWithin)
		}
		close(l.conns)
		<-done
	})
}

// TestWebConfig: TLS, client certificates and passwords; a certificate is replaced without another Serve, and a broken file refuses
// everything.
func TestWebConfig(t *testing.T) {
	dir := t.TempDir()
	first := certificate(t, dir)
	const withTLS = "tls_server_config: {cert_file: web.crt, key_file: web.key}\n"
	path := put(t, dir, "web.yaml", withTLS+"basic_auth_users: {prometheus: "+hashOf(t, "secret")+"}\n")
	at := serve(t, Options{TLS: true, Web: func() (Web, error) { return Load(path) }})
	trusting := func(c *x509.Certificate) *tls.Config {
		pool := x509.NewCertPool()
		pool.AddCert(c)
		return &tls.Config{RootCAs: pool}
	}
	expect := func(what string, c *tls.Config, user, password string, code int, body string) {
		t.Helper()
		got, text := ask(t, client(c), "GET", "https://"+at+"/metrics", user, password)
		if got != code || !strings.Contains(text, body) {
			t.Errorf("%s: %d %s, want %d %s", what, got, text, code, body)
		}
	}
	expect("no password", trusting(first), "", "", 401, "needed")
	expect("the password", trusting(first), "prometheus", "secret", 200, "lvs_build_info")
	expect("a wrong one", trusting(first), "prometheus", "wrong", 401, "wrong")
	expect("the right one beside", trusting(first), "prometheus", "secret", 200, "lvs_build_info")
	kept := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(first)}, Timeout: 10 * time.Second}
	defer kept.CloseIdleConnections()
	if code, text := ask(t, kept, "GET", "https://"+at+"/metrics", "prometheus", "secret"); code != 200 {
		t.Errorf("a connection that stays open: %d %s", code, text)
	}
	second := certificate(t, dir)
	expect("the old certificate", trusting(first), "prometheus", "secret", 0, "certificate")
	expect("the new certificate", trusting(second), "prometheus", "secret", 200, "lvs_build_info")
	put(t, dir, "web.yaml", "tls_server_config: {cert_file: web.crt, key_file: web.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: web.crt}\n")
	if code, text := ask(t, kept, "GET", "https://"+at+"/metrics", "", ""); code != 403 || !strings.Contains(text, "connect again") {
		t.Errorf("a connection from before a client certificate was needed: %d %s", code, text)
	}
	expect("no client certificate", trusting(second), "", "", 0, "")
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "web.crt"), filepath.Join(dir, "web.key"))
	if err != nil {
		t.Fatal(err)
	}
	with := trusting(second)
	with.Certificates = []tls.Certificate{own}
	expect("a client certificate", with, "", "", 200, "lvs_build_info")
	if code, text := ask(t, client(nil), "GET", "http://"+at+"/metrics", "", ""); code == 200 {
		t.Errorf("without TLS: %s", text)
	}
	put(t, dir, "web.yaml", "basic_auth_users: {}\n")
	expect("TLS removed without a reload", with, "", "", 0, "")
	put(t, dir, "web.yaml", "}")
	expect("a broken file", with, "", "", 0, "")
}

// TestPlainPort: a port without TLS answers nothing once the file asks for TLS or is broken.
func TestPlainPort(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	path := put(t, dir, "web.yaml", "")
	at := serve(t, Options{Web: func() (Web, error) { return Load(path) }})
	for _, tt := range []struct {
		file string
		code int
		text string
	}{
		{"", 200, "lvs_build_info"},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key}", 500, "reload"},
		{"basic_auth_users: {a: plain}", 500, "lvsctl status"},
		{"basic_auth_users: {}", 200, "lvs_build_info"},
	} {
		put(t, dir, "web.yaml", tt.file)
		if code, text := ask(t, client(nil), "GET", "http://"+at+"/metrics", "", ""); code != tt.code || !strings.Contains(text, tt.text) {
			t.Errorf("%q: %d %s", tt.file, code, text)
		}
	}
}

func TestBadWebConfigs(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	put(t, dir, "empty.pem", "")
	expensive := "$2a$13$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	for _, tt := range []struct{ file, want string }{
		{"tls_server_config: {cert_file: web.crt}", "key_file are required"},
		{"tls_server_config: {cert_file: gone.crt, key_file: web.key}", "no such file"},
		{"tls_server_config: {cert_file: empty.pem, key_file: web.key}", "cert_file empty.pem, key_file web.key"},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key, min_version: TLS10}", `"TLS10" is neither TLS12 nor TLS13`},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key, min_version: TLS13, max_version: TLS12}", "lower than min_version"},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key, client_auth_type: Verify}", "RequireAndVerifyClientCert"},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key, client_auth_type: RequireAndVerifyClientCert}", "need each other"},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key, client_ca_file: web.crt}", "need each other"},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: empty.pem}", "no certificate in PEM"},
		{"tls_server_config: {cert_file: web.crt, key_file: web.key, cipher_suites: []}", "supported are"},
		{"http_server_config: {http2: true}", "write http2: false"},
		{"basic_auth_users: {a: secret}", "htpasswd"},
		{"basic_auth_users: {a: " + expensive + "}", "at most 12"},
		{"basic_auth_users: {'': " + expensive + "}", "has no name"},
		{"rate_limit: {}", "supported are"},
		{"[", "did not find"},
		{strings.Repeat("#", maxFile+1), "the limit is"},
	} {
		path := put(t, dir, "web.yaml", tt.file)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "web_config "+path) {
			t.Errorf("%.80s: %v", tt.file, err)
		}
	}
	for _, path := range []string{dir, "/dev/zero"} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "not a file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestPasswords: after a wrong password of a client none of its own is compared for a second, except one that was right before; those of
// others are, as long as only a few clients guess.
func TestPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := map[string][]byte{"a": []byte(hashOf(t, "secret")), "b": []byte(hashOf(t, "other"))}
		one := netip.MustParseAddr("10.77.0.60")
		var p passwords
		for _, tt := range []struct {
			after          time.Duration
			from           netip.Addr
			user, password string
			want           answer
		}{
			{0, one, "a", "secret", right},
			{0, one, "a", "wrong", wrong},
			{0, one, "a", "wrong", tooMany},
			{0, one, "b", "other", tooMany},
			{0, one, "a", "secret", right},
			{0, one.Next(), "b", "wrong", wrong},
			{wrongPause - 1, one, "b", "other", tooMany},
			{1, one, "b", "other", right},
			{0, one, "nobody", "", wrong},
			{wrongPause, one, "nobody", "secret", wrong},
			{0, one.Next(), "a", "", wrong},
			{0, one.Next().Next(), "a", "", wrong},
			{0, one.Next().Next().Next(), "a", "", wrong},
			{0, one.Prev(), "a", "", tooMany}, // too many clients guess
			{0, one.Prev(), "a", "secret", right},
		} {
			time.Sleep(tt.after)
			if got := p.check(users, tt.from, tt.user, tt.password, time.Now); got != tt.want {
				t.Errorf("%+v: %d", tt, got)
			}
		}
		time.Sleep(wrongPause)
		users["a"] = []byte(hashOf(t, "new"))
		if got := p.check(users, one, "a", "secret", time.Now); got != wrong {
			t.Errorf("the old password after a change: %d", got)
		}
		delete(users, "b")
		time.Sleep(wrongPause)
		if got := p.check(users, one, "b", "other", time.Now); got != wrong {
			t.Errorf("a user that is gone: %d", got)
		}
		slow := time.Now() // a comparison takes longer than the pause
		if got := p.check(users, one.Next(), "a", "x", func() time.Time { slow = slow.Add(2 * wrongPause); return slow }); got != wrong || p.failed[one.Next()] != slow {
			t.Errorf("%d, the pause counts from %s", got, p.failed[one.Next()])
		}
	})
}

// FuzzLoad: no content makes it panic.
func FuzzLoad(f *testing.F) {
	f.Add("tls_server_config: {cert_file: web.crt, key_file: web.key}\nbasic_auth_users: {a: b}")
	f.Fuzz(func(t *testing.T, content string) {
		_, _ = Load(put(t, t.TempDir(), "web.yaml", content))
	})
}
