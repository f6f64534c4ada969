package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

func (p *prober) TLS(c config.TLSCheck) { p.result = TLS(p.ctx, p.target, c.TLSOptions) }

// TLS makes a handshake, judges the certificate and closes the connection.
func TLS(ctx context.Context, t *Target, o config.TLSOptions) Result {
	watch := start(ctx, "tls")
	settings, asked, failed := clientTLS(t, o, o.ServerName)
	if failed != nil {
		return watch.result(failed.code, failed.class, failed.sentence)
	}
	raw, err := dial(ctx, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	defer raw.Close()
	defer raw.endWith(ctx)()
	conn := tls.Client(raw, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		return watch.handshake(ctx, t, err, asked.Load())
	}
	state := conn.ConnectionState()
	t.logTLS(state)
	if asked.Load() {
		if rejected := rejectedCertificate(ctx, conn); rejected != nil {
			return watch.handshake(ctx, t, rejected, true)
		}
	}
	result := watch.expiry(t, o, state, watch.good("handshake"), time.Now())
	_ = conn.Close() // sends close_notify
	return result
}

// rejectedCertificate returns the alert of a server that does not accept the check's certificate, or the lack of one, after
// it has asked for one. With TLS 1.3 the alert comes after the handshake, so it is waited for.
func rejectedCertificate(ctx context.Context, conn *tls.Conn) error {
	if conn.ConnectionState().Version < tls.VersionTLS13 {
		return nil
	}
	until := time.Now().Add(alertWait)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	if err := conn.SetReadDeadline(until); err != nil {
		return nil
	}
	var one [1]byte
	_, err := conn.Read(one[:])
	if isAlert(err) {
		return err
	}
	return nil
}

// alertWait is how long an alert after a handshake is waited for. It comes within a round trip.
const alertWait = 100 * time.Millisecond

// fault is why a probe cannot be made.
type fault struct {
	code     health.Code
	class    health.Class
	sentence string
}

// clientTLS returns the settings of one handshake, which sets asked if the server asks for a certificate. Without Verify the
// certificate is not judged, except for its end.
func clientTLS(t *Target, o config.TLSOptions, name string) (c *tls.Config, asked *atomic.Bool, failed *fault) {
	c, asked = &tls.Config{
		ServerName:         name,
		InsecureSkipVerify: true, // the check judges it, and does without a name
		MinVersion:         tls.VersionTLS10,
	}, new(atomic.Bool)
	var own tls.Certificate
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked.Store(true)
		return &own, nil
	}
	if t.Certificate != "" {
		var err error
		own, err = tls.X509KeyPair([]byte(t.Certificate), []byte(t.Certificate))
		if err != nil {
			return nil, nil, &fault{health.Secret, health.Unknown, fmt.Sprintf("%s: %s (write the certificate and its key into it, both as PEM)", o.Client, printable(err.Error(), 200))}
		}
	}
	if !o.Verify {
		return c, asked, nil
	}
	var roots *x509.CertPool
	if t.Authorities != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(t.Authorities)) {
			return nil, nil, &fault{health.Secret, health.Unknown, o.Authorities + " has no certificate (write those of the authorities into it, as PEM)"}
		}
	}
	if name == "" {
		name = t.Address.Addr().Unmap().String()
	}
	c.VerifyConnection = verifier(name, roots)
	return c, asked, nil
}

// verifier judges the certificate of a server.
func verifier(name string, roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server has no certificate")
		}
		between := x509.NewCertPool()
		for _, cert := range s.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between})
		if err != nil {
			return &certificateError{err}
		}
		return nil
	}
}

// certificateError: the certificate of the server is not valid for the check.
type certificateError struct{ error }

func (e *certificateError) Unwrap() error { return e.error }

// handshake is the result of a failed handshake; asked says whether the server has asked for a certificate.
func (w *stopwatch) handshake(ctx context.Context, t *Target, err error, asked bool) Result {
	doing := "handshake with " + t.Address.String() + ": "
	err = ended(ctx, err)
	var invalid *certificateError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &invalid):
		return w.result(health.Certificate, health.Bad, doing+printable(invalid.Error(), 200)+" (renew the server's certificate, or correct server_name, ca_file or verify)")
	case asked && isAlert(err):
		return w.result(health.Auth, health.Unknown, doing+printable(err.Error(), 200)+" (the server wants another certificate of its clients: see client_certificate_file)")
	case errors.As(err, &notTLS):
		return w.result(health.Protocol, health.Bad, doing+"the answer is not TLS")
	case isAlert(err), strings.HasPrefix(err.Error(), "tls: "): // crypto/tls has no types for what is wrong with a message
		return w.result(health.Protocol, health.Bad, doing+printable(err.Error(), 200))
	}
	code, class, sentence := classify(err, w.limit)
	return w.result(code, class, doing+sentence)
}

// isAlert reports whether a server has ended a connection with an alert (RFC 8446, section 6.2). An alert has no exported
// type.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// expiry turns a good result into one with a warning if the server's certificate ends soon, or has ended.
func (w *stopwatch) expiry(t *Target, o config.TLSOptions, s tls.ConnectionState, good Result, now time.Time) Result {
	if len(s.PeerCertificates) == 0 || o.Days == 0 {
		return good
	}
	end := s.PeerCertificates[0].NotAfter
	left := end.Sub(now)
	if left > time.Duration(o.Days)*24*time.Hour {
		return good
	}
	sentence := fmt.Sprintf("the certificate of %s ends in %s, on %s (renew it)", t.Address, days(left), end.UTC().Format(time.DateOnly))
	if left <= 0 {
		sentence = fmt.Sprintf("the certificate of %s has ended on %s (renew it; clients that verify it are refused)", t.Address, end.UTC().Format(time.DateOnly))
	}
	return w.result(health.Expires, health.Good, sentence)
}

// days rounds down.
func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

func (t *Target) logTLS(s tls.ConnectionState) {
	if t.Trace == nil {
		return
	}
	t.log("%s, %s, protocol %q, server name %q", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.NegotiatedProtocol, s.ServerName)
	for i, c := range s.PeerCertificates {
		t.log("certificate %d: %s, issued by %s, for %s %s, valid from %s to %s", i+1, printable(c.Subject.String(), 200), printable(c.Issuer.String(), 200),
			printable(strings.Join(c.DNSNames, " "), 200), c.IPAddresses, c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
}
