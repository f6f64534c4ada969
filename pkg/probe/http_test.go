package probe

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

const page = "<html>all is well</html>\n"

// website is a web server with the pages of the tests.
func website(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, page) })
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		code := map[string]int{"204": 204, "302": 302, "429": 429, "503": 503}[r.URL.Path[len("/status/"):]]
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "check" || password != "secret" {
			w.WriteHeader(401)
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join([]string{r.Method, r.Proto, "host=" + r.Host, "x=" + r.Header.Get("X-Own"), "agent=" + r.Header.Get("User-Agent")}, " "))
		if r.TLS != nil {
			_, _ = io.WriteString(w, " sni="+r.TLS.ServerName)
		}
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		for range 17 {
			_, _ = w.Write(make([]byte, 64<<10))
		}
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(s.Close)
	return s
}

func addressOf(l net.Listener) netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

func paths(all ...string) config.Argv { return config.ArgvOf(all...) }

func TestHTTP(t *testing.T) {
	s := website(t)
	s.Start()
	sum, sum2 := md5.Sum([]byte(page)), sha256.Sum256([]byte(page))
	md5sum, sha := hex.EncodeToString(sum[:]), hex.EncodeToString(sum2[:])
	for name, tt := range map[string]struct {
		check    config.HTTPCheck
		password string
		code     health.Code
		class    health.Class
		cause    string
	}{
		"default":         {config.HTTPCheck{}, "", health.OK, health.Good, `http: / answered with 200 in .*`},
		"several paths":   {config.HTTPCheck{Paths: paths("/a", "/status/204")}, "", health.OK, health.Good, `http: /status/204 answered with 204 in .*`},
		"one of them":     {config.HTTPCheck{Paths: paths("/status/503", "/a")}, "", health.Status, health.Bad, `http: .*/status/503: status 503 Service Unavailable, want 200-299; it redirects to /elsewhere`},
		"statuses":        {config.HTTPCheck{Paths: paths("/status/302"), Status: "200 300-302"}, "", health.OK, health.Good, `http: /status/302 answered with 302 in .*`},
		"limited":         {config.HTTPCheck{Paths: paths("/status/429")}, "", health.Blocked, health.Unknown, `http: .*: status 429 .* \(the server limits .*\)`},
		"digest":          {config.HTTPCheck{Digest: md5sum}, "", health.OK, health.Good, `http: / answered .*`},
		"sha256":          {config.HTTPCheck{Digest: sha}, "", health.OK, health.Good, `http: / answered .*`},
		"another digest":  {config.HTTPCheck{Digest: strings.Repeat("0", 32)}, "", health.Content, health.Bad, `http: .*/: the digest of the body is ` + md5sum + `, want 0{32}`},
		"text":            {config.HTTPCheck{Answer: config.Answer{Text: "all is well"}}, "", health.OK, health.Good, `http: .*`},
		"another text":    {config.HTTPCheck{Answer: config.Answer{Text: "not well"}}, "", health.Content, health.Bad, `http: .*/: the body "<html>all is well</html>\\n" does not contain "not well"`},
		"expression":      {config.HTTPCheck{Answer: config.Answer{Expression: "(?i)ALL .* WELL"}}, "", health.OK, health.Good, `http: .*`},
		"no match":        {config.HTTPCheck{Answer: config.Answer{Expression: "^well"}}, "", health.Content, health.Bad, `http: .* does not match "\^well"`},
		"account":         {config.HTTPCheck{Paths: paths("/auth"), User: "check"}, "secret", health.OK, health.Good, `http: .*`},
		"wrong password":  {config.HTTPCheck{Paths: paths("/auth"), User: "check"}, "other", health.Auth, health.Unknown, `http: .*: status 401 Unauthorized, want 200-299 \(check user and password_file.*\)`},
		"without account": {config.HTTPCheck{Paths: paths("/auth")}, "", health.Status, health.Bad, `http: .*: status 401 Unauthorized, want 200-299`},
		"HTTP/1.1": {config.HTTPCheck{
			Paths: paths("/echo"), Host: "www.example.org:81", Headers: paths("X-Own: a b"), Answer: config.Answer{Text: "GET HTTP/1.1 host=www.example.org:81 x=a b agent=lvs-director"},
		}, "", health.OK, health.Good, `http: .*`},
		"HTTP/2":   {config.HTTPCheck{Paths: paths("/echo"), Version: "2", Answer: config.Answer{Text: "GET HTTP/2.0 host=127.0.0.1 "}}, "", health.OK, health.Good, `http: .*`},
		"HEAD":     {config.HTTPCheck{Method: "HEAD"}, "", health.OK, health.Good, `http: .*`},
		"big":      {config.HTTPCheck{Paths: paths("/big")}, "", health.OK, health.Good, `http: .*`},
		"too big":  {config.HTTPCheck{Paths: paths("/big"), Answer: config.Answer{Text: "x"}}, "", health.Content, health.Bad, `http: .*: the body has more than 1 MiB .*`},
		"over TLS": {config.HTTPCheck{Secure: true}, "", health.Protocol, health.Bad, `https: handshake with .*: the answer is not TLS`},
	} {
		t.Run(name, func(t *testing.T) {
			r := Make(within(t, 5*time.Second), &Target{Address: addressOf(s.Listener), Kind: tt.check, Password: tt.password})
			check(t, r, tt.code, tt.class, tt.cause)
		})
	}
}

func TestHTTPS(t *testing.T) {
	a := newAuthority(t)
	s := website(t)
	s.TLS = a.settings(a.issue("www.example.org", 30*24*time.Hour), false)
	s.TLS.NextProtos = []string{"h2", "http/1.1"}
	s.StartTLS()
	strict := website(t)
	strict.TLS = a.settings(a.issue("www.example.org", 30*24*time.Hour), true)
	strict.StartTLS()
	client := a.issue("director", time.Hour)
	for name, tt := range map[string]struct {
		server *httptest.Server
		check  config.HTTPCheck
		own    string
		code   health.Code
		class  health.Class
		cause  string
	}{
		"not verified": {s, config.HTTPCheck{}, "", health.OK, health.Good, `https: / answered with 200 in .*`},
		"verified":     {s, config.HTTPCheck{TLSOptions: config.TLSOptions{Verify: true}}, "", health.OK, health.Good, `https: .*`},
		"name of the host": {
			s,
			config.HTTPCheck{Host: "www.example.org:443", Paths: paths("/echo"), Answer: config.Answer{Text: "sni=www.example.org"}, TLSOptions: config.TLSOptions{Verify: true}},
			"", health.OK, health.Good, `https: .*`,
		},
		"name apart from the host": {s, config.HTTPCheck{
			Host: "other.example.org", Paths: paths("/echo"), Answer: config.Answer{Expression: "host=other.example.org .* sni=www.example.org"},
			TLSOptions: config.TLSOptions{Verify: true, ServerName: "www.example.org"},
		}, "", health.OK, health.Good, `https: .*`},
		"another name": {
			s,
			config.HTTPCheck{Host: "other.example.org", TLSOptions: config.TLSOptions{Verify: true}},
			"", health.Certificate, health.Bad,
			`https: handshake with .*: .*not other.example.org \(renew .*\)`,
		},
		"ends soon": {s, config.HTTPCheck{TLSOptions: config.TLSOptions{Days: 40}}, "", health.Expires, health.Good, `https: the certificate of .* ends in 29 days, on .* \(renew it\)`},
		"HTTP/2":    {s, config.HTTPCheck{Paths: paths("/echo"), Version: "2", Answer: config.Answer{Text: "HTTP/2.0"}}, "", health.OK, health.Good, `https: .*`},
		"HTTP/1.1":  {s, config.HTTPCheck{Paths: paths("/echo"), Version: "1.1", Answer: config.Answer{Text: "HTTP/1.1"}}, "", health.OK, health.Good, `https: .*`},
		"own":       {strict, config.HTTPCheck{TLSOptions: config.TLSOptions{Client: "/f"}}, client, health.OK, health.Good, `https: .*`},
		"no certificate of its own": {
			strict,
			config.HTTPCheck{},
			"", health.Auth, health.Unknown,
			`https: handshake with .*: remote error: tls: certificate required \(.*client_certificate_file\)`,
		},
		"no key": {strict, config.HTTPCheck{TLSOptions: config.TLSOptions{Client: "/f"}}, a.pem, health.Secret, health.Unknown, `https: /f: .* \(write the certificate and its key into it.*\)`},
		"no TLS": {s, config.HTTPCheck{Secure: false}, "", health.Status, health.Bad, `http: .*status 400 Bad Request, want 200-299`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.check.Secure = name != "no TLS"
			r := Make(within(t, 5*time.Second), &Target{Address: addressOf(tt.server.Listener), Kind: tt.check, Authorities: a.pem, Certificate: tt.own})
			check(t, r, tt.code, tt.class, tt.cause)
		})
	}
}

// A server that accepts and says nothing, one that closes, and one that is not there.
func TestHTTPWithoutAnAnswer(t *testing.T) {
	silent := listen(t)
	r := Make(within(t, 50*time.Millisecond), &Target{Address: addressOf(silent), Kind: config.HTTPCheck{}})
	check(t, r, health.Timeout, health.Bad, `http: answer for / of .*: no answer within .*`)
	r = Make(within(t, 50*time.Millisecond), &Target{Address: addressOf(silent), Kind: config.HTTPCheck{Secure: true}})
	check(t, r, health.Timeout, health.Bad, `https: dial .*: no answer within .*`)
	r = Make(within(t, 5*time.Second), &Target{Address: closedPort(t), Kind: config.HTTPCheck{}})
	check(t, r, health.Refused, health.Bad, `http: dial .*: connection refused`)
	for sends, want := range map[string]struct {
		code  health.Code
		cause string
	}{
		"":                               {health.Reset, `http: answer for / of .*: connection closed by the server`},
		"HTTP/1.1 200 OK\r\n":            {health.Reset, `http: answer for / of .*: connection closed by the server`},
		"220 mail ESMTP\r\n":             {health.Protocol, `http: answer for / of .*: .*malformed HTTP.*`},
		"HTTP/1.1 200 OK\r\nA b\r\n\r\n": {health.Protocol, `http: answer for / of .*: .*malformed MIME.*`},
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab": {health.Reset, `http: answer for / of .*: connection closed by the server`},
	} {
		r := Make(within(t, 5*time.Second), &Target{Address: saying(t, sends), Kind: config.HTTPCheck{}})
		check(t, r, want.code, health.Bad, want.cause)
	}
}

// saying is a server that reads once, sends a text and closes.
func saying(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	return addressOf(l)
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	serve := func(c *tls.Config) netip.AddrPort {
		l := listen(t)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() { // as servers that wait for a request
					s := tls.Server(conn, c)
					_, _ = s.Read(make([]byte, 1))
					_ = s.Close()
				}()
			}
		}()
		return addressOf(l)
	}
	month := 30*24*time.Hour + time.Hour
	good, ended := serve(a.settings(a.issue("db", month), false)), serve(a.settings(a.issue("db", -time.Hour), false))
	strict := serve(a.settings(a.issue("db", month), true))
	old := a.settings(a.issue("db", month), true)
	old.MaxVersion = tls.VersionTLS12
	own := a.issue("director", time.Hour)
	for name, tt := range map[string]struct {
		at      netip.AddrPort
		options config.TLSOptions
		own     string
		code    health.Code
		class   health.Class
		cause   string
	}{
		"good":                   {good, config.TLSOptions{Days: 14}, "", health.OK, health.Good, `tls: handshake in .*`},
		"verified":               {good, config.TLSOptions{Verify: true, ServerName: "db"}, "", health.OK, health.Good, `tls: .*`},
		"not for it":             {good, config.TLSOptions{Verify: true, ServerName: "web"}, "", health.Certificate, health.Bad, `tls: handshake with .*: .*valid for db, not web.*`},
		"ends":                   {good, config.TLSOptions{Days: 31}, "", health.Expires, health.Good, `tls: the certificate of .* ends in 30 days, on .*`},
		"has ended":              {ended, config.TLSOptions{Days: 1}, "", health.Expires, health.Good, `tls: the certificate of .* has ended on .*`},
		"has ended, verified":    {ended, config.TLSOptions{Verify: true}, "", health.Certificate, health.Bad, `tls: handshake with .*: .*expired.*`},
		"own certificate":        {strict, config.TLSOptions{}, own, health.OK, health.Good, `tls: .*`},
		"without it":             {strict, config.TLSOptions{}, "", health.Auth, health.Unknown, `tls: .*certificate required \(.*`},
		"without it, TLS 1.2":    {serve(old), config.TLSOptions{}, "", health.Auth, health.Unknown, `tls: handshake with .*: remote error: tls: .* \(.*`},
		"not TLS":                {saying(t, "SSH-2.0-OpenSSH\r\n"), config.TLSOptions{}, "", health.Protocol, health.Bad, `tls: .*the answer is not TLS`},
		"closes":                 {saying(t, ""), config.TLSOptions{}, "", health.Reset, health.Bad, `tls: handshake with .*: connection closed by the server`},
		"not there":              {closedPort(t), config.TLSOptions{}, "", health.Refused, health.Bad, `tls: dial .*: connection refused`},
		"certificate is garbage": {good, config.TLSOptions{Client: "/c"}, "x", health.Secret, health.Unknown, `tls: /c: .*`},
	} {
		t.Run(name, func(t *testing.T) {
			r := Make(within(t, 5*time.Second), &Target{Address: tt.at, Kind: config.TLSCheck{TLSOptions: tt.options}, Authorities: a.pem, Certificate: tt.own})
			check(t, r, tt.code, tt.class, tt.cause)
		})
	}
	r := Make(within(t, 50*time.Millisecond), &Target{Address: addressOf(listen(t)), Kind: config.TLSCheck{}})
	check(t, r, health.Timeout, health.Bad, `tls: handshake with .*: no answer within .*`)
}

// TestTargetIsReleased: the transport dials on when a check has ended, and the target belongs to the caller again. The race detector
// judges this.
func TestTargetIsReleased(t *testing.T) {
	at := addressOf(listen(t))
	for range 100 {
		target := &Target{Address: at, Kind: config.HTTPCheck{Method: "GET"}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(rand.IntN(100))*time.Microsecond, cancel)
		Make(ctx, target)
		target.Source = netip.MustParseAddr("127.0.0.2")
	}
}
