package config

import (
	"slices"
	"strconv"
	"strings"
)

// The types of an HTTPCheck.
const (
	HTTP  CheckType = "http"
	HTTPS CheckType = "https"
)

const (
	maxPaths   = 16
	maxHeaders = 32
)

// HTTPCheck asks for pages.
type HTTPCheck struct {
	Secure  bool // https
	Paths   Argv // each begins with /; all must be answered as expected. "" is /
	Status  StatusRanges
	Digest  string // of the body, in lower-case hexadecimal: MD5 as of genhash, or SHA-256; "": any
	Answer  Answer // the body
	Method  string // "GET" or "HEAD"
	Version string // "1.1" or "2"
	Host    string // the Host header; "": the real server's address
	Headers Argv   // each "Name: value"
	User    string // of basic authentication; "": none
	// PasswordFile is the file with its password.
	PasswordFile string
	TLSOptions
}

// StatusRanges is a list of ranges of status codes as text, "200-299 302", so that values are comparable.
type StatusRanges string

// Has reports whether a status code is in one of the ranges.
func (s StatusRanges) Has(code int) bool {
	for one := range strings.FieldsSeq(string(s)) {
		if low, high, ok := statusRange(one); ok && low <= code && code <= high {
			return true
		}
	}
	return false
}

// String returns the ranges as a sentence has them: "200-299 or 302".
func (s StatusRanges) String() string { return enumerate(strings.Fields(string(s)), "or") }

func statusRange(s string) (low, high int, ok bool) {
	first, last, is := strings.Cut(s, "-")
	if !is {
		last = first
	}
	low, err := strconv.Atoi(first)
	high, err2 := strconv.Atoi(last)
	return low, high, err == nil && err2 == nil && 100 <= low && low <= high && high <= 599 && len(first) == 3 && len(last) == 3
}

// Type returns HTTP or HTTPS.
func (c HTTPCheck) Type() CheckType {
	if c.Secure {
		return HTTPS
	}
	return HTTP
}

// SecretFile returns the file with the password.
func (c HTTPCheck) SecretFile() string { return c.PasswordFile }

// Network returns OverTCP.
func (HTTPCheck) Network() Network { return OverTCP }

// Probe calls p.HTTP.
func (c HTTPCheck) Probe(p Prober) { p.HTTP(c) }

func (HTTPCheck) sealed() {}

func httpKind() checkKind {
	return kindOf[HTTPCheck]{
		name: HTTP, doc: "a web server answers with the expected status and content",
		fields: httpFields(),
		rules:  func(c *HTTPCheck, o object) { c.validate(o) },
	}.declare()
}

func httpsKind() checkKind {
	return kindOf[HTTPCheck]{
		name: HTTPS, doc: "as `http`, over TLS",
		fields: append(httpFields(), tlsFields(func(c *HTTPCheck) *TLSOptions { return &c.TLSOptions })...),
		rules: func(c *HTTPCheck, o object) {
			c.Secure = true
			c.validate(o)
			c.TLSOptions.validate(o)
		},
	}.declare()
}

func httpFields() []key[HTTPCheck] {
	return slices.Concat(requestFields(), []key[HTTPCheck]{
		&field[HTTPCheck, StatusRanges]{
			name: "status", in: func(c *HTTPCheck) *StatusRanges { return &c.Status }, kind: statusRanges(),
			def: "200-299", unset: "`[200-299]`", doc: "the status codes that are right, single ones and ranges", reload: Restart,
			words: []word{keepalived("status_code").write("`status: [200, 301-302]`")},
		},
		&field[HTTPCheck, string]{
			name: "digest", in: func(c *HTTPCheck) *string { return &c.Digest },
			kind:  texts("hexadecimal digits", Schema{Pattern: "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{64})$"}, value.digest),
			unset: "any", doc: "the MD5 (as genhash prints it) or SHA-256 of the body; `lvsctl probe -v` prints both", reload: Restart,
		},
	}, answerFields(func(c *HTTPCheck) *Answer { return &c.Answer }), []key[HTTPCheck]{
		&field[HTTPCheck, string]{
			name: "user", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(c *HTTPCheck) *string { return &c.User },
			unset: "none", doc: "the account of basic authentication, by default none", reload: Restart,
			words: []word{synonyms("username")},
		},
		&field[HTTPCheck, string]{
			name: "password_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath),
			in:    func(c *HTTPCheck) *string { return &c.PasswordFile },
			unset: "empty password", doc: "the file that holds its password", reload: Restart,
		},
	})
}

// requestFields are the keys of what is asked.
func requestFields() []key[HTTPCheck] {
	return []key[HTTPCheck]{
		&field[HTTPCheck, Argv]{
			name: "paths", in: func(c *HTTPCheck) *Argv { return &c.Paths }, kind: webPaths(),
			unset: "`[/]`", doc: "the pages to ask for, one after the other, each in a connection of its own; all must be right", reload: Restart,
			words: []word{keepalived("url").write("`paths: [/health]`"), synonyms("uri").write("`paths: [/health]`")},
		},
		&field[HTTPCheck, string]{
			name: "method", kind: oneOf[string](vocabulary{what: "a method", words: []string{"GET", "HEAD"}}), in: func(c *HTTPCheck) *string { return &c.Method },
			def: "GET", doc: "`HEAD` has no body", reload: Restart,
		},
		&field[HTTPCheck, string]{
			name: "http_version", in: func(c *HTTPCheck) *string { return &c.Version }, kind: httpVersion(),
			def: "1.1", unset: "`\"1.1\"`", doc: "`\"1.1\"` or `\"2\"`; with `http` the latter is HTTP/2 without TLS", reload: Restart,
			words: []word{keepalived("http_protocol")},
		},
		&field[HTTPCheck, string]{
			name: "host", kind: texts("host name, with or without a port", Schema{Pattern: `^[!-~]{1,255}$`}, value.webHost), in: func(c *HTTPCheck) *string { return &c.Host },
			unset: "the real server's address", doc: "the Host header", reload: Restart,
			words: []word{keepalived("virtualhost")},
		},
		&field[HTTPCheck, Argv]{
			name: "headers", in: func(c *HTTPCheck) *Argv { return &c.Headers }, kind: webHeaders(),
			unset: "none", doc: "further headers, each as `\"Name: value\"`. Others than root may read the cluster file: no secrets", reload: Restart,
		},
	}
}

func (c HTTPCheck) validate(o object) {
	o.warnHidden("password_file", c.PasswordFile)
	if c.User == "" && !o.missing("password_file") {
		o.locate("password_file").fail("add user, or remove it", "is not used without user")
	}
	if c.Method == "HEAD" && (c.Digest != "" || !c.Answer.Any()) {
		o.locate("method").fail("use method: GET", "the answer to HEAD has no body to compare")
	}
}

func textList(most int, what string, item Schema, read func(value) string) kind[Argv] {
	one := 1
	item.Type = "string"
	return scalar("list of texts", Schema{Type: "array", Items: &item, MinItems: &one, MaxItems: &most, UniqueItems: true}, func(v value) Argv {
		v.notEmpty("at least one")
		var all []string
		for i, one := range v.items(what) {
			switch s := read(one); {
			case i == most:
				one.fail("", "is one more than %d", most)
			case s == "":
			case slices.Contains(all, s):
				one.fail("", "%s is listed twice", quote(s))
			default:
				all = append(all, s)
			}
		}
		return ArgvOf(all...)
	})
}

func webPaths() kind[Argv] {
	return textList(maxPaths, "paths, each with / at its beginning", Schema{Pattern: `^/[!-~]{0,999}$`}, func(v value) string {
		s := v.text()
		for _, c := range []byte(s) {
			if c <= ' ' || c > '~' || s[0] != '/' || len(s) > 1000 {
				v.fail("encode other characters as %20", "%s is not a path: / and at most 999 visible characters of ASCII", quote(s))
				return ""
			}
		}
		return s
	})
}

func webHeaders() kind[Argv] {
	return textList(maxHeaders, "headers, each as \"Name: value\"", Schema{Pattern: `^[A-Za-z0-9-]+:[ -~\t]*$`}, func(v value) string {
		s := v.text()
		name, content, found := strings.Cut(s, ":")
		bad := !found || name == "" || strings.ContainsFunc(content, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) ||
			strings.ContainsFunc(name, func(r rune) bool {
				return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
			})
		switch key := strings.ToLower(name); {
		case s == "":
		case bad:
			v.fail(`write "Name: value"`, "%s is not a header", quote(s))
		case key == "host":
			v.fail("use host", "the header Host has a key of its own")
		case key == "authorization":
			v.fail("use user and password_file", "secrets are not allowed in the cluster file")
		case slices.Contains([]string{"connection", "content-length", "transfer-encoding", "upgrade", "trailer", "te"}, key):
			v.fail("remove it", "the header %s belongs to the connection", name)
		default:
			return s
		}
		return ""
	})
}

// statusRanges is a list of status codes and ranges of them.
func statusRanges() kind[StatusRanges] {
	one, low, high := 1, 100, 599
	item := Schema{AnyOf: []*Schema{{Type: "integer", Minimum: &low, Maximum: &high}, {Type: "string", Pattern: "^[1-5][0-9][0-9]-[1-5][0-9][0-9]$"}}}
	k := scalar("list of numbers and ranges", Schema{Type: "array", Items: &item, MinItems: &one}, func(v value) StatusRanges {
		v.notEmpty("at least one status code")
		var all []string
		for _, one := range v.items("status codes and ranges of them, such as 200-299") {
			s := strings.ReplaceAll(one.node.Value, " ", "")
			if _, _, ok := statusRange(s); !ok {
				one.fail("", "%s is not a status code from 100 to 599, or a range such as 200-299", quote(one.node.Value))
				continue
			}
			all = append(all, s)
		}
		return StatusRanges(strings.Join(all, " "))
	})
	return k
}

// httpVersion is a version, which YAML takes for a number.
func httpVersion() kind[string] {
	return scalar("`\"1.1\"` or `\"2\"`", Schema{Enum: []any{"1.1", "2", "2.0", 1.1, 2}}, func(v value) string {
		switch v.node.Value {
		case "1.1":
			return "1.1"
		case "2", "2.0":
			return "2"
		}
		v.fail("", "%s is not a version: want 1.1 or 2", quote(v.node.Value))
		return ""
	})
}

// webHost reads the value of a Host header.
func (v value) webHost() string {
	s := v.visible()
	if strings.ContainsAny(s, "/?#@\\<>") {
		v.fail("write only the name, and the port if it is not the usual one", "%s is not a host name", quote(s))
		return ""
	}
	return s
}

// digest reads an MD5 or a SHA-256.
func (v value) digest() string {
	s := strings.ToLower(v.text())
	if strings.Trim(s, "0123456789abcdef") != "" || s != "" && len(s) != 32 && len(s) != 64 {
		v.fail("", "%s is not a digest: want 32 hexadecimal digits (MD5) or 64 (SHA-256)", quote(s))
		return ""
	}
	return s
}
