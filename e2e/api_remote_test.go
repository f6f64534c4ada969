package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// issuer issues certificates into files.
type issuer struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newIssuer(t *testing.T, dir string) *issuer {
	t.Helper()
	i := &issuer{t: t, dir: dir}
	i.key, i.cert = i.issue("ca")
	return i
}

// issue writes NAME.crt and NAME.key: of the authority itself first.
func (i *issuer) issue(name string) (*ecdsa.PrivateKey, *x509.Certificate) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(10, 77, 0, 2)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA: i.cert == nil, BasicConstraintsValid: true,
	}
	parent, signer := i.cert, i.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		i.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	i.write(name+".crt", "CERTIFICATE", der)
	i.write(name+".key", "PRIVATE KEY", private)
	if c, err = x509.ParseCertificate(der); err != nil {
		i.t.Fatal(err)
	}
	return key, c
}

func (i *issuer) write(name, kind string, der []byte) {
	i.t.Helper()
	if err := os.WriteFile(filepath.Join(i.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// client returns a client on a host that trusts the issuer, with the certificate that another one has issued to a name; "" is none.
func (i *issuer) client(from *lab.Host, other *issuer, name string) *http.Client {
	i.t.Helper()
	trusted := x509.NewCertPool()
	trusted.AddCert(i.cert)
	c := &tls.Config{RootCAs: trusted}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(other.dir, name+".crt"), filepath.Join(other.dir, name+".key"))
		if err != nil {
			i.t.Fatal(err)
		}
		// Certificates would send none that the server does not ask for.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return &http.Client{Timeout: soon, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: c,
		DialContext: func(ctx context.Context, network, at string) (net.Conn, error) { return from.Dial(ctx, network, at) },
	}}
}

// TestRemoteAPI: another machine reads a director's status with a certificate, changes something only with a name among the admins,
// and the event has the name. A broken file closes nothing else and is a problem; new certificates count without a reload.
//
// Proves docs/operations.md: "Certificates are read again, at most once a second, so that they can be replaced without a reload."
func TestRemoteAPI(t *testing.T) {
	lab.Need(t, lab.IPVS)
	dir := t.TempDir()
	ca := newIssuer(t, dir)
	for _, name := range []string{"lvs-master", "alice", "bob"} {
		ca.issue(name)
	}
	const web = "tls_server_config: {cert_file: lvs-master.crt, key_file: lvs-master.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt}\n"
	path := filepath.Join(dir, "api.yaml")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(web)
	c := newCluster(t, shape{advert: "100ms", more: "api: {listen: 0.0.0.0:9651, web_config: " + path + ", admins: [alice]}"})
	c.answering()
	c.startAll()
	stranger := newIssuer(t, t.TempDir())
	stranger.issue("alice")
	holder := ca
	ask := func(name, method, path string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, "https://10.77.0.2:9651"+path, strings.NewReader(`{"target": "mysql/mysql2", "kind": "weight", "weight": 7}`))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := ca.client(c.client, holder, name).Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	expect := func(name, method, path string, code int, want string) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			if got, text := ask(name, method, path); got != code || !strings.Contains(text, want) {
				return fmt.Errorf("%q: %s %s: %d %s, want %d %s", name, method, path, got, text, code, want)
			}
			return nil
		})
	}
	expect("bob", "GET", "/v1/status", 200, `"state": "MASTER"`)
	expect("bob", "POST", "/v1/override", 403, "bob may read and change nothing")
	expect("", "GET", "/v1/status", 0, "certificate")
	holder = stranger // an administrator's name, by another authority
	expect("alice", "GET", "/v1/status", 0, "unknown certificate authority")
	expect("alice", "POST", "/v1/override", 0, "unknown certificate authority")
	holder = ca
	if err := c.master.hasWeights(1, 1); err != nil {
		t.Error(err)
	}
	expect("alice", "POST", "/v1/override", 200, `"author":"alice (certificate, from 10.77.0.`)
	lab.Eventually(t, soon, func() error { return c.master.hasWeights(1, 7) })
	write("}")
	expect("bob", "GET", "/v1/status", 0, "")
	lab.Eventually(t, soon, func() error {
		for _, p := range c.master.status().ProblemDetails {
			if p.Code == "api_not_offered" {
				return nil
			}
		}
		return fmt.Errorf("a broken file is no problem")
	})
	ca.issue("lvs-master") // another certificate
	write(web)
	expect("bob", "GET", "/v1/status", 200, `"state": "MASTER"`)
	if !c.master.holds() {
		t.Error("lvs-master does not hold the VIP any more")
	}
}
