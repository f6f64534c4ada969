package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// certificates issues certificates.
type certificates struct {
	t         *testing.T
	authority string // its own certificate, as PEM
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newCertificates(t *testing.T) *certificates {
	t.Helper()
	c := &certificates{t: t}
	raw, key := c.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	var err error
	if c.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	c.key, c.authority = key, pemBlock("CERTIFICATE", raw)
	return c
}

// issue returns a certificate for a name with its key, both as PEM.
func (c *certificates) issue(name string) string {
	c.t.Helper()
	raw, key := c.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	return pemBlock("CERTIFICATE", raw) + pemBlock("PRIVATE KEY", private)
}

// sign signs a certificate, with its own key if there is no authority yet.
func (c *certificates) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(365*24*time.Hour)
	parent, by := c.cert, c.key
	if parent == nil {
		parent, by = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		c.t.Fatal(err)
	}
	return raw, key
}

func pemBlock(kind string, raw []byte) string {
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: raw})
	return b.String()
}
