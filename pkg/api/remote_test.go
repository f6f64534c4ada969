package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.key, a.cert = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "ca"}})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

// named returns a certificate for a name, of a server and a client.
func (a *authority) named(name string) tls.Certificate {
	a.t.Helper()
	key, cert := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// TestRemote: other machines are answered by TLS with certificates on both sides. Every client with a certificate reads, those whose
// name is among the admins change something, and the daemon learns the name.
func TestRemote(t *testing.T) {
	ours, foreign := newAuthority(t), newAuthority(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	author, accepted := "", error(nil)
	h := Handlers{
		Status: func() any { return status.Agent{} },
		Reload: func(_ context.Context, _ bool, by string) error { author = by; return nil },
	}
	server := ours.named("lvs-master")
	remote := Remote{
		TLS: func() (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool}, nil
		},
		Accepts: func(*tls.ConnectionState) error { return accepted },
		Admins:  func() []string { return []string{"alice"} },
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ServeRemote(ctx, l, h, remote, quiet) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	ask := func(method, path string, certs ...tls.Certificate) (int, string) {
		client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ours.pool, Certificates: certs},
		}}
		request, err := http.NewRequestWithContext(t.Context(), method, "https://"+l.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, detail(response, text)
	}
	alice, bob := ours.named("alice"), ours.named("bob")
	for _, tt := range []struct {
		what, method, path string
		certs              []tls.Certificate
		code               int
		text               string
	}{
		{"no certificate", "GET", "/v1/status", nil, 0, "certificate"},
		{"a certificate of another authority", "GET", "/v1/status", []tls.Certificate{foreign.named("alice")}, 0, "certificate"},
		{"a certificate without a name", "GET", "/v1/status", []tls.Certificate{ours.named("")}, 403, "no certificate with a name"},
		{"a reader", "GET", "/v1/status", []tls.Certificate{bob}, 200, "virtual_servers"},
		{"a reader", "POST", "/v1/reload", []tls.Certificate{bob}, 403, "bob may read and change nothing: add it to admins in the section api"},
		{"an administrator", "POST", "/v1/reload?sudo=carol", []tls.Certificate{alice}, 204, ""},
	} {
		if code, text := ask(tt.method, tt.path, tt.certs...); code != tt.code || !strings.Contains(text, tt.text) {
			t.Errorf("%s: %s %s: %d %s, want %d %s", tt.what, tt.method, tt.path, code, text, tt.code, tt.text)
		}
	}
	if !strings.HasPrefix(author, "alice (certificate, from 127.0.0.1:") {
		t.Errorf("the author is %q", author)
	}
	accepted = errors.New("its certificate was revoked")
	if code, text := ask("GET", "/v1/status", bob); code != 403 || !strings.Contains(text, "connect again: its certificate was revoked") {
		t.Errorf("not accepted any more: %d %s", code, text)
	}
	plain, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_, _ = io.WriteString(plain, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
	if text, _ := io.ReadAll(plain); strings.Contains(string(text), "virtual_servers") {
		t.Errorf("without TLS: %s", text)
	}
}
