package config

import (
	"net/netip"
	"regexp"
	"strings"
)

// Mail is the server that mails of hooks are sent through; the zero value is none.
type Mail struct {
	Server     string // a host name or an address
	Port       uint16 // 0: that of Encryption: 25 or 465
	Encryption MailEncryption
	From       string
	// Username and PasswordFile are for SMTP authentication; "": none.
	Username     string
	PasswordFile string
}

// MailEncryption is how the connection to a mail server is encrypted.
type MailEncryption string

// The values of `encryption`.
const (
	MailOpportunistic MailEncryption = "opportunistic" // STARTTLS if the server offers it
	MailSTARTTLS      MailEncryption = "starttls"      // required
	MailTLS           MailEncryption = "tls"           // from the beginning
	MailPlain         MailEncryption = "none"
)

func mailSection() *sectionOf[Mail] {
	s := &sectionOf[Mail]{
		section: section{
			name: "mail", part: true, what: "a mapping with server and from",
			intro: "The server that mails of [hooks](#notify) are sent through. See [hooks.md](hooks.md#mail).",
			words: []word{
				keepalivedWord("smtp_helo_name", "the name of the machine is sent"),
				keepalivedWord("smtp_connect_timeout", "the timeout of the hook is that of the whole mail"),
				{names: []string{"password"}, message: "passwords are not allowed in the cluster file", hint: "write it to a file with mode 0600 and set password_file"},
			},
		},
		rules: func(m *Mail, o object) {
			if !o.missing("username") && (m.Encryption == MailPlain || m.Encryption == MailOpportunistic) {
				o.locate("encryption").fail("write encryption: starttls or tls", "the password could be sent unencrypted")
			}
			if o.missing("username") != o.missing("password_file") {
				o.locate("username").fail("", "username and password_file need each other")
			}
			if dir := hiddenFromUnits(m.PasswordFile); dir != "" {
				o.locate("password_file").warn("put it into /etc/lvs-director", "the systemd unit hides %s from the daemon", dir)
			}
		},
	}
	s.fields = []key[Mail]{
		&field[Mail, string]{
			name: "server", kind: texts("text", Schema{Pattern: `^([0-9A-Za-z_.-]+|` + ipv6Pattern + `(%.+)?)$`}, value.mailServer), in: func(m *Mail) *string { return &m.Server },
			required: "the name or address of a mail server", doc: "the name or address of the mail server", reload: Live,
			words: []word{keepalived("smtp_server").write("`mail: {server: …}`")},
		},
		&field[Mail, uint16]{
			name: "port", kind: wholeNumber[uint16](1, 65535), in: func(m *Mail) *uint16 { return &m.Port }, unset: "`25`; with `encryption: tls`: `465`",
			doc: "its port", reload: Live,
		},
		&field[Mail, MailEncryption]{
			name: "encryption", in: func(m *Mail) *MailEncryption { return &m.Encryption }, def: MailOpportunistic, reload: Live,
			kind: oneOf[MailEncryption](vocabulary{what: "an encryption", words: []string{string(MailOpportunistic), string(MailSTARTTLS), string(MailTLS), string(MailPlain)}}),
			doc:  "`starttls`: required on the connection; `opportunistic`: if the server offers it; `tls`: from the beginning; `none`. Except with `opportunistic` the certificate is verified",
		},
		&field[Mail, string]{
			name: "from", in: func(m *Mail) *string { return &m.From }, required: "the sender, for example lvs@example.com", doc: "the sender", reload: Live,
			kind:  texts("mail address", Schema{MinLength: 3}, value.mailAddress),
			words: []word{keepalived("notification_email_from").write("`mail: {from: …}`")},
		},
		&field[Mail, string]{
			name: "username", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(m *Mail) *string { return &m.Username }, unset: "none", doc: "the user of the mail server", reload: Live,
		},
		&field[Mail, string]{
			name: "password_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(m *Mail) *string { return &m.PasswordFile },
			unset: "none", doc: "a file with the user's password, mode 0600 or 0640; read for each mail", reload: Live,
		},
	}
	return s.build()
}

func mailField(s *sectionOf[Mail]) key[contents] {
	return &field[contents, Mail]{
		name: "mail", in: func(c *contents) *Mail { return &c.mail },
		kind: kind[Mail]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) (m Mail) {
				if o, ok := v.object(&s.section); ok {
					s.take(o, &m)
				}
				return m
			},
		},
		unset: "none", doc: "the mail server for hooks",
	}
}

var hostName = regexp.MustCompile(`^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?$`)

// mailServer reads a host name or an address, without a port.
func (v value) mailServer() string {
	s := v.text()
	if _, err := netip.ParseAddr(s); err == nil || s == "" || hostName.MatchString(s) {
		return s
	}
	host, port := s, ""
	if at := strings.LastIndexByte(s, ':'); at > 0 {
		host, port = s[:at], s[at+1:]
	}
	if inside, found := strings.CutPrefix(host, "["); found {
		host = strings.TrimSuffix(inside, "]")
	}
	_, err := netip.ParseAddr(host)
	switch {
	case port != "" && strings.Trim(port, "0123456789") == "" && (err == nil || hostName.MatchString(host)):
		v.fail("write server: "+host+" and port: "+port, "%s has a port", quote(s))
	default:
		v.fail("write a name such as smtp.example.com, or an address", "%s is no host name and no address", quote(s))
	}
	return ""
}
