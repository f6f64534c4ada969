package config

import "strings"

// TLS is the type of a TLSCheck.
const TLS CheckType = "tls"

// TLSOptions are those of a check over TLS. The zero value accepts every certificate.
type TLSOptions struct {
	ServerName  string // that the client asks for (SNI) and, with Verify, the certificate must be for; "": none, and the address
	Verify      bool   // the certificate must be valid and for the server
	Authorities string // the file with the certificates of the authorities that Verify trusts; "": those of the system
	Client      string // the file with the certificate and key of the check; "": none
	Days        int    // from how many days before the end of the certificate on the check warns; 0: never
}

// TLSCheck makes a handshake.
type TLSCheck struct {
	noSecret
	TLSOptions
}

// Type returns TLS.
func (TLSCheck) Type() CheckType { return TLS }

// CertificateFiles implements Certified.
func (t TLSOptions) CertificateFiles() (authorities, own string) { return t.Authorities, t.Client }

// Network returns OverTCP.
func (TLSCheck) Network() Network { return OverTCP }

// Probe calls p.TLS.
func (c TLSCheck) Probe(p Prober) { p.TLS(c) }

func (TLSCheck) sealed() {}

func tlsKind() checkKind {
	return kindOf[TLSCheck]{
		name: TLS, doc: "a TLS handshake succeeds",
		fields: tlsFields(func(c *TLSCheck) *TLSOptions { return &c.TLSOptions }),
		rules:  func(c *TLSCheck, o object) { c.validate(o) },
	}.declare()
}

func tlsFields[K any](in func(*K) *TLSOptions) []key[K] {
	return []key[K]{
		&field[K, string]{
			name: "server_name", kind: texts("host name", Schema{Pattern: `^[A-Za-z0-9._-]{1,253}$`}, value.hostName), in: func(k *K) *string { return &in(k).ServerName },
			unset: "with type `https` the `host`, otherwise none", doc: "the name that the check asks for (SNI), whatever the `host`", reload: Restart,
			words: []word{keepalived("sni_name"), synonyms("sni"), keepalived("enable_sni").write("`server_name`")},
		},
		&field[K, bool]{
			name: "verify", kind: flag(false), in: func(k *K) *bool { return &in(k).Verify },
			doc: "the certificate must be valid, and for the `server_name` or else the real server's address", reload: Restart,
		},
		&field[K, string]{
			name: "ca_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(k *K) *string { return &in(k).Authorities },
			unset: "those of the system", doc: "the file with the certificates (PEM) of the authorities that `verify` trusts", reload: Restart,
		},
		&field[K, string]{
			name: "client_certificate_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(k *K) *string { return &in(k).Client },
			unset: "none", doc: "the file with the certificate of the check and its key (both PEM), mode 0600 or 0640", reload: Restart,
		},
		&field[K, int]{
			name: "certificate_days", kind: wholeNumber[int](0, 365), in: func(k *K) *int { return &in(k).Days }, def: 14,
			doc: "a warning when the server's certificate ends within so many days; 0 is none", reload: Restart,
		},
	}
}

func (t TLSOptions) validate(o object) {
	if t.Authorities != "" && !t.Verify {
		o.locate("ca_file").fail("add verify: true", "is not used without verify")
	}
	o.warnHidden("ca_file", t.Authorities)
	o.warnHidden("client_certificate_file", t.Client)
}

// hostName reads a name as certificates have it.
func (v value) hostName() string {
	s := v.text()
	for _, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && !strings.ContainsRune("._-", rune(c)) || len(s) > 253 {
			v.fail("", "%s is not a host name%s", quote(s), nonASCII(s))
			return ""
		}
	}
	return s
}
