package scrape

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/bcrypt"
	"gopkg.in/yaml.v3"
)

const (
	// maxFile limits the files, in bytes: they are read again for connections and requests.
	maxFile = 256 << 10
	// maxCost limits the cost of password hashes: 12 takes about a quarter of a second of the CPU that elections use too, and each
	// step doubles it.
	maxCost = 12
)

// Web is what a web configuration file asks for; the zero value is neither TLS nor passwords.
type Web struct {
	tls   *tls.Config       // nil: no TLS
	users map[string][]byte // bcrypt hashes of passwords; empty: nobody needs one
}

// TLS reports whether it asks for TLS.
func (w Web) TLS() bool { return w.tls != nil }

// Config returns what the TLS of new connections is made from; nil without TLS.
func (w Web) Config() *tls.Config { return w.tls }

// VerifiesClients reports whether each client needs a certificate that is verified.
func (w Web) VerifiesClients() bool {
	return w.tls != nil && w.tls.ClientAuth == tls.RequireAndVerifyClientCert
}

// HasUsers reports whether clients need a password.
func (w Web) HasUsers() bool { return len(w.users) > 0 }

// Accepts reports whether a connection has the certificate that is wanted now: it may have been made before that was changed.
func (w Web) Accepts(c *tls.ConnectionState) bool {
	switch {
	case w.tls == nil:
		return true
	case w.tls.ClientAuth == tls.NoClientCert || w.tls.ClientAuth == tls.RequestClientCert:
		return true
	case len(c.PeerCertificates) == 0:
		return w.tls.ClientAuth == tls.VerifyClientCertIfGiven
	case w.tls.ClientAuth == tls.RequireAnyClientCert:
		return true
	}
	between := x509.NewCertPool()
	for _, one := range c.PeerCertificates[1:] {
		between.AddCert(one)
	}
	_, err := c.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: w.tls.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
}

// webFile is the file. Its keys have the names of exporter-toolkit.
type webFile struct {
	TLS *struct {
		Cert         string `yaml:"cert_file"`
		Key          string `yaml:"key_file"`
		ClientAuth   string `yaml:"client_auth_type"`
		ClientCA     string `yaml:"client_ca_file"`
		Min          string `yaml:"min_version"`
		Max          string `yaml:"max_version"`
		PreferServer *bool  `yaml:"prefer_server_cipher_suites"` // has no effect, as in Go since 1.17
	} `yaml:"tls_server_config"`
	HTTP *struct {
		HTTP2 bool `yaml:"http2"`
	} `yaml:"http_server_config"`
	Users map[string]string `yaml:"basic_auth_users"`
}

// Load reads a web configuration file and the files that it names, whose paths are relative to its directory. The errors name the file
// and say what to do.
func Load(path string) (Web, error) {
	w, err := load(path)
	if err != nil {
		return Web{}, fmt.Errorf("web_config %s: %w", path, err)
	}
	return w, nil
}

func load(path string) (w Web, err error) {
	data, err := read(path)
	if err != nil {
		return w, err
	}
	var f webFile
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return w, fmt.Errorf("%w (supported are cert_file, key_file, client_auth_type, client_ca_file, min_version and max_version in tls_server_config, and basic_auth_users)", err)
	}
	if f.HTTP != nil && f.HTTP.HTTP2 {
		return w, errors.New("http_server_config: HTTP/2 is not supported: remove http2, or write http2: false")
	}
	if w.users, err = users(f.Users); err != nil || f.TLS == nil {
		return w, err
	}
	w.tls, err = f.tlsConfig(filepath.Dir(path))
	return w, err
}

func users(hashes map[string]string) (map[string][]byte, error) {
	all := map[string][]byte{}
	for name, hash := range hashes {
		cost, err := bcrypt.Cost([]byte(hash))
		switch {
		case name == "":
			return nil, errors.New("basic_auth_users: a user has no name")
		case err != nil:
			return nil, fmt.Errorf("basic_auth_users: the password of %s is no bcrypt hash: %w (make one with htpasswd -nBC 10 %s)", name, err, name)
		case cost > maxCost:
			return nil, fmt.Errorf("basic_auth_users: the hash of %s has the cost %d, and comparing it would take the CPU from the elections: at most %d (make one with htpasswd -nBC 10 %s)", name, cost, maxCost, name)
		}
		all[name] = []byte(hash)
	}
	return all, nil
}

func (f *webFile) tlsConfig(dir string) (*tls.Config, error) {
	t := f.TLS
	if t.Cert == "" || t.Key == "" {
		return nil, errors.New("tls_server_config: cert_file and key_file are required")
	}
	in := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	cert, err := read(in(t.Cert))
	if err != nil {
		return nil, err
	}
	key, err := read(in(t.Key))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cert_file %s, key_file %s: %w", t.Cert, t.Key, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if err := versions(c, t.Min, t.Max); err != nil {
		return nil, err
	}
	auth, known := clientAuth[t.ClientAuth]
	if !known {
		return nil, fmt.Errorf("client_auth_type: %q is none of NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert", t.ClientAuth)
	}
	c.ClientAuth = auth
	verifies := auth == tls.VerifyClientCertIfGiven || auth == tls.RequireAndVerifyClientCert
	if verifies != (t.ClientCA != "") {
		return nil, errors.New("client_ca_file and a client_auth_type that verifies certificates (RequireAndVerifyClientCert) need each other")
	}
	if !verifies {
		return c, nil
	}
	ca, err := read(in(t.ClientCA))
	if err != nil {
		return nil, err
	}
	if c.ClientCAs = x509.NewCertPool(); !c.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("client_ca_file %s has no certificate in PEM", t.ClientCA)
	}
	return c, nil
}

// clientAuth are the words for client_auth_type.
var clientAuth = map[string]tls.ClientAuthType{
	"": tls.NoClientCert, "NoClientCert": tls.NoClientCert, "RequestClientCert": tls.RequestClientCert, "RequireAnyClientCert": tls.RequireAnyClientCert,
	"RequireClientCert": tls.RequireAnyClientCert, "VerifyClientCertIfGiven": tls.VerifyClientCertIfGiven, "RequireAndVerifyClientCert": tls.RequireAndVerifyClientCert,
}

func versions(c *tls.Config, low, high string) error {
	for _, one := range []struct {
		key, word string
		set       *uint16
	}{{"min_version", low, &c.MinVersion}, {"max_version", high, &c.MaxVersion}} {
		switch one.word {
		case "":
		case "TLS12":
			*one.set = tls.VersionTLS12
		case "TLS13":
			*one.set = tls.VersionTLS13
		default:
			return fmt.Errorf("%s: %q is neither TLS12 nor TLS13", one.key, one.word)
		}
	}
	if c.MaxVersion != 0 && c.MaxVersion < c.MinVersion {
		return fmt.Errorf("max_version %s is lower than min_version %s", high, low)
	}
	return nil
}

// read reads a regular file of at most maxFile bytes.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noBlock, 0)
	if err != nil {
		return nil, remedied(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, remedied(path, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", path, info.Size(), maxFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, remedied(path, err)
	}
	return data, nil
}

func remedied(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (the daemon runs as root without CAP_DAC_OVERRIDE: chown root %s)", err, path)
	}
	return err
}
