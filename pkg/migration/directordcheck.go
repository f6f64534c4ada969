package migration

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// question is a check of a real server that ldirectord makes.
type question struct {
	v               *virtual
	rs              *server
	check           *object
	request         string // as written; "" if it is not
	receive         string
	requestAt       *conftree.Statement // where they are, for verdicts
	receiveAt       *conftree.Statement
	global          *directord
	timeoutOfAnswer bool // negotiatetimeout rather than checktimeout
}

// negotiation is how a service is asked with checktype negotiate.
type negotiation struct {
	// uses are the directives that ldirectord uses, takes those that the check here does, too.
	uses, takes string
	// instead says what is done in place of ldirectord's check; "" if it is the same.
	instead string
	write   func(*reader, *question)
}

var negotiations = map[string]negotiation{
	"http":       {"request receive httpmethod virtualhost", "request receive httpmethod virtualhost", "", askWeb("http")},
	"https":      {"request receive httpmethod virtualhost", "request receive httpmethod virtualhost", "", askWeb("https")},
	"http_proxy": {"request receive httpmethod", "", "a connection is opened, and no page asked for through it", plain("tcp")},
	"mysql":      {"request login passwd database", "login passwd", "", askMySQL},
	"pgsql":      {"request login passwd database", "", "a connection is opened, without a login", plain("tcp")},
	"oracle":     {"request login passwd database", "", "a connection is opened, without a login", plain("tcp")},
	"ldap":       {"request receive login passwd", "", "a connection is opened, without a login", plain("tcp")},
	"ftp":        {"request receive login passwd", "", "the server's greeting is read, without a login", greeting("^220")},
	"pop":        {"login passwd", "", "the server's greeting is read, without a login", greeting(`^\+OK`)},
	"imap":       {"login passwd", "", "the server's greeting is read, without a login", greeting(`^\* OK`)},
	"pops":       {"login passwd", "", "a TLS connection is opened, without a login", plain("tls")},
	"imaps":      {"login passwd", "", "a TLS connection is opened, without a login", plain("tls")},
	"nntp":       {"", "", "", greeting("^2")},
	"smtp":       {"", "", "", plain("smtp")},
	"submission": {"", "", "", plain("smtp")},
	"dns":        {"request receive", "request receive", "", askDNS},
	"simpletcp":  {"request receive", "request receive", "", askText},
	"sip":        {"login", "", "a connection is opened, or with udp a packet sent that may stay unanswered", plain("")},
	"radius":     {"login passwd secret", "", "a packet is sent that may stay unanswered", plain("udp")},
	"none":       {"", "", "", nil},
}

// serviceOfPort is the service that ldirectord assumes.
func serviceOfPort(e endpoint) string {
	for kind, port := range servicePorts {
		if e.mark == 0 && int(e.at.Port()) == port {
			return kind
		}
	}
	return "none"
}

// servicePorts are the ports of the services, as ldirectord knows them.
var servicePorts = map[string]int{
	"ftp": 21, "smtp": 25, "dns": 53, "http": 80, "pop": 110, "nntp": 119, "imap": 143, "ldap": 389, "https": 443, "submission": 587, "imaps": 993,
	"pops": 995, "oracle": 1521, "radius": 1812, "http_proxy": 3128, "mysql": 3306, "sip": 5060, "pgsql": 5432,
}

// directordCheck returns the check of a real server; nil if there is none. request and receive are those of its line.
func (r *reader) directordCheck(v *virtual, rs *server, global *directord, request, receive *conftree.Word) *object {
	q := &question{v: v, rs: rs, global: global, check: &object{at: rs.at}, requestAt: v.request, receiveAt: v.receive}
	q.request, q.receive = valueOf(v.request), valueOf(v.receive)
	if request != nil {
		q.request, q.receive, q.requestAt, q.receiveAt = request.Text, receive.Text, rs.at, rs.at
	}
	switch v.checkType {
	case "on", "off":
		return nil
	case "ping":
		q.check.add("type", "ping")
	case "connect":
		q.connect(r)
	case "external", "external-perl":
		q.external(r)
	default:
		n := negotiations[v.kind]
		switch {
		case n.write == nil && v.checkType == "combined":
			q.onlyConnections(r)
		case n.write == nil:
			return nil
		default:
			q.timeoutOfAnswer = true
			n.write(r, q)
		}
		if n.instead != "" {
			at := v.kindAt
			if at == nil {
				at = v.at
			}
			r.judge(at, Changed, "there is no check of service %s: %s", v.kind, n.instead)
		}
	}
	if len(q.check.entries) == 0 {
		return nil
	}
	q.finish(r)
	return q.check
}

func valueOf(s *conftree.Statement) string {
	switch {
	case s == nil:
		return ""
	case len(s.Words) > 1 && s.Words[1].Quoted: // what is behind the quotes is ignored
		return s.Words[1].Text
	}
	return strings.Join(s.Args(), " ")
}

// connect opens a connection, or pings if there is none.
func (q *question) connect(r *reader) {
	if q.v.place.protocol == "udp" {
		q.check.add("type", "ping")
		r.judge(q.v.at, Changed, "connect is a ping with udp, as in ldirectord")
		return
	}
	q.check.add("type", "tcp")
}

// onlyConnections opens a connection where ldirectord opens some, and then asks nothing.
func (q *question) onlyConnections(r *reader) {
	r.judge(q.v.checkAt, Changed, "each check opens a connection, of udp it is a ping: the service is not known, so ldirectord takes the real server for up after each %s of them", q.v.checkAt.Arg(1))
	q.check.add("type", map[bool]string{true: "ping", false: "tcp"}[q.v.place.protocol == "udp"])
}

// external runs a program with the addresses of the virtual server and the real server.
func (q *question) external(r *reader) {
	s, program := q.v.command, valueOf(q.v.command)
	if s == nil {
		r.judge(q.v.checkAt, Refused, "it has no checkcommand, so ldirectord runs /bin/true: write a check")
		return
	}
	if !strings.HasPrefix(program, "/") || strings.Contains(program, " ") {
		r.judge(s, Refused, "ldirectord takes '%s' for the path of a program without arguments: write a program with an absolute path", program)
		return
	}
	if q.v.checkType == "external-perl" {
		r.judge(q.v.checkAt, Changed, "the program is started for each check: it must be executable and begin with #!")
	}
	brackets := func(a netip.Addr) string {
		if a.Is6() {
			return "[" + a.String() + "]"
		}
		return a.String()
	}
	at, port := strconv.Itoa(q.v.place.mark), 0
	if q.v.place.mark == 0 {
		at, port = brackets(q.v.place.at.Addr()), int(q.v.place.at.Port())
	}
	q.check.add("type", "command")
	q.check.add("command", []string{program, at, strconv.Itoa(port), brackets(q.rs.addr), strconv.Itoa(q.rs.port)})
	q.check.add("user", "root")
}

// plain makes a check that needs no more than its type; "" is tcp or udp, as the virtual server.
func plain(kind string) func(*reader, *question) {
	return func(_ *reader, q *question) {
		if kind == "" {
			q.check.add("type", q.v.protocol())
			return
		}
		q.check.add("type", kind)
	}
}

func greeting(expect string) func(*reader, *question) {
	return func(_ *reader, q *question) {
		q.check.add("type", "tcp")
		q.check.add("expect_regex", expect)
	}
}

func askWeb(kind string) func(*reader, *question) {
	return func(r *reader, q *question) {
		q.check.add("type", kind)
		page := strings.TrimPrefix(q.request, "/")
		ofLine := q.requestAt == q.rs.at // ldirectord takes that of a virtual server for a path, even so
		if u, err := url.Parse(page); err == nil && u.Scheme != "" && u.Host != "" && ofLine {
			r.judge(q.requestAt, Changed, "ldirectord asks %s instead of the real server: the real server is asked, with this Host", u.Host)
			q.check.add("host", u.Host)
			page = strings.TrimPrefix(u.RequestURI(), "/")
		}
		if page = escaped(page); page != "" && visible(r, q.requestAt, page, 999) {
			q.check.add("paths", []string{"/" + page})
		}
		if q.v.host != nil && visible(r, q.v.host, valueOf(q.v.host), 255) {
			q.check.add("host", valueOf(q.v.host))
		}
		if m := strings.ToUpper(valueOf(q.v.method)); m == "HEAD" {
			q.check.add("method", m)
		} else if m != "" && m != "GET" {
			r.judge(q.v.method, Refused, "'%s' is no method: GET or HEAD", m)
		}
		if q.receive != "" && q.check.text("method") == "HEAD" {
			r.judge(q.receiveAt, Changed, "an answer to HEAD has no text, so ldirectord takes the real server for down: it is left out")
			q.receive = ""
		}
		q.receive = endOfText(q.receive)
		q.expect(r, "expect_regex")
		at := q.requestAt
		if at == nil {
			at = q.v.at
		}
		r.judge(at, Changed, "redirects are not followed: if the page is one, write the one that it leads to, or status: [200-399]")
	}
}

// visible refuses a text that is not of visible characters of ASCII, or too long.
func visible(r *reader, s *conftree.Statement, text string, most int) bool {
	if len(text) <= most && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return true
	}
	r.judge(s, Refused, "it is here at most %d visible characters of ASCII", most)
	return false
}

// escaped returns a path as it is sent.
func escaped(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c > ' ' && c <= '~' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// endOfText returns a regular expression of Perl whose $ is before a newline at the end of the text as well.
func endOfText(pattern string) string {
	if strings.Contains(pattern, `\Q`) || severalLines.MatchString(pattern) {
		return pattern
	}
	var b strings.Builder
	class := -1 // where a class of characters begins
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			b.WriteByte(c)
			i++
		case class < 0 && c == '$':
			b.WriteString(`(?:\n?\z)`)
			continue
		case class < 0 && c == '[':
			class = i
		case c == ']' && class >= 0 && i > class+1 && pattern[class+1:i] != "^": // at its begin ] is one of the characters
			class = -1
		}
		b.WriteByte(pattern[i])
	}
	return b.String()
}

// severalLines is the flag of regular expressions with which $ is the end of each line, here as in Perl.
var severalLines = regexp.MustCompile(`\(\?[a-z]*m`)

// expect writes what an answer must contain.
func (q *question) expect(r *reader, key string) {
	if q.receive == "" {
		return
	}
	if _, err := regexp.Compile(q.receive); err != nil && key == "expect_regex" {
		r.judge(q.receiveAt, Refused, "it is no regular expression here (%s): write expect_regex", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return
	}
	q.check.add(key, q.receive)
}

func askMySQL(r *reader, q *question) {
	user := valueOf(q.v.login)
	if user == "" {
		r.judge(q.v.at, Refused, "without login ldirectord never takes a MySQL server for up: write user and password_file; a connection is opened")
		q.check.add("type", "tcp")
		return
	}
	q.check.add("type", "mysql")
	q.check.add("user", user)
	if password := valueOf(q.v.password); password != "" {
		file := name("check-"+q.v.name) + ".password"
		r.addSecret(file, password, q.v.password)
		q.check.add("password_file", r.options.SecretsDir+"/"+file)
	}
}

func askDNS(r *reader, q *question) {
	q.check.add("type", "dns")
	if query := strings.TrimPrefix(q.request, "/"); query != "" {
		record := "A"
		if addr, err := netip.ParseAddr(query); err == nil {
			query, record = reverse(addr), "PTR"
		}
		if visible(r, q.requestAt, query, 255) {
			q.check.add("query", query)
			q.check.add("record", record)
		}
	}
	if q.v.place.protocol == "tcp" {
		r.judge(q.v.at, Changed, "the question is asked with udp, while ldirectord uses tcp")
	}
	q.expect(r, "expect")
}

// reverse is the name of an address in the DNS.
func reverse(a netip.Addr) string {
	var labels []string
	if !a.Is6() {
		for _, b := range a.AsSlice() {
			labels = append([]string{strconv.Itoa(int(b))}, labels...)
		}
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	for _, b := range a.AsSlice() {
		labels = append([]string{strconv.FormatInt(int64(b&15), 16), strconv.FormatInt(int64(b>>4), 16)}, labels...)
	}
	return strings.Join(labels, ".") + ".ip6.arpa"
}

// askText sends a text as it is, but for \n.
func askText(r *reader, q *question) {
	q.check.add("type", q.v.protocol())
	if send := strings.TrimPrefix(q.request, "/"); send != "" {
		q.check.add("send", quoted(strings.ReplaceAll(send, `\n`, "\n")))
	}
	if strings.ContainsAny(q.receive, "^$") {
		q.receive = "(?m)" + q.receive // ldirectord compares it with each line
	}
	q.expect(r, "expect_regex")
}

// protocol is that of the checks: tcp for a firewall mark.
func (v *virtual) protocol() string {
	if v.place.protocol == "" {
		return "tcp"
	}
	return v.place.protocol
}

// checkPort is the port of a check; 0 if ldirectord has none.
func (q *question) checkPort(r *reader) int {
	v := q.v
	switch {
	case q.check.text("type") == "dns":
		if v.port != 0 && v.port != 53 {
			r.judge(v.portAt, NoEffect, "ldirectord asks name servers at port 53, always")
		}
		return 53
	case v.port != 0:
		return v.port
	case q.rs.port != 0:
		return q.rs.port
	}
	v.kindPort = servicePorts[v.kind] != 0
	return servicePorts[v.kind]
}

// finish writes the port and the times.
func (q *question) finish(r *reader) {
	v, c := q.v, q.check
	if kind := c.text("type"); kind != "ping" && kind != "command" {
		switch port := q.checkPort(r); {
		case port == 0 && v.many:
			r.judge(v.at, Refused, "the port of the check is not known: write port in checks")
		case port == 0:
			r.judge(q.rs.at, Changed, "ldirectord has no port for its check, and never takes it for up: that of the virtual server is checked")
		case v.many || port != v.portOf(v.forwardOf(q.rs.object), q.rs.port):
			c.add("port", port)
		}
	}
	interval, timeout := q.times(r)
	c.add("interval", duration(float64(interval)))
	c.add("timeout", duration(float64(timeout)))
	c.add("fall", q.time("failurecount", 1))
	c.add("rise", 1)
	c.sort("type", "port", "command", "user", "password_file", "paths", "method", "host", "query", "record", "send", "expect", "expect_regex", "interval", "timeout", "fall", "rise")
}

// time is a setting of the virtual server, or else the global one.
func (q *question) time(word string, otherwise int) int {
	for _, d := range []*directord{q.v.own, q.global} {
		if n, set := d.times[word]; set {
			return n
		}
	}
	return otherwise
}

// times returns the interval and the timeout in seconds, each of whose directives is the default of the other one.
func (q *question) times(r *reader) (interval, timeout int) {
	interval = 10
	if n, set := q.global.times["checkinterval"]; set {
		interval = n
	}
	if n, set := q.v.own.times["checkinterval"]; set && q.global.fork {
		interval = n
	}
	order, otherwise := []string{"checktimeout", "negotiatetimeout"}, 5
	if q.timeoutOfAnswer {
		order, otherwise = []string{"negotiatetimeout", "checktimeout"}, 30
	}
	timeout = otherwise
	found := false
	for _, d := range []*directord{q.v.own, q.global} {
		for _, word := range order {
			if n, set := d.times[word]; set && !found {
				timeout, found = n, true
			}
		}
	}
	if timeout > interval {
		r.judge(q.v.at, Changed, "a check takes at most its interval: timeout %s", duration(float64(interval)))
		timeout = interval
	}
	return interval, timeout
}

// judgeUnused says what became of directives that the checks do not use.
func (r *reader) judgeUnused(v *virtual, global *directord) {
	n := negotiation{}
	if v.checkType == "negotiate" || v.checkType == "combined" {
		n = negotiations[v.kind]
	}
	for word, s := range map[string]*conftree.Statement{
		"request": v.request, "receive": v.receive, "httpmethod": v.method, "virtualhost": v.host, "login": v.login, "passwd": v.password,
		"database": v.database, "secret": v.secret,
	} {
		switch {
		case s == nil || slices.Contains(strings.Fields(n.takes), word):
		case !slices.Contains(strings.Fields(n.uses), word):
			r.judge(s, NoEffect, "ldirectord does not use it in this check")
		case v.kind == "mysql" && word == "request":
			r.judge(s, Changed, "the check asks SELECT 1: if a row of the table takes the server out, use lvsctl drain or maintenance_dir")
		case v.kind == "mysql":
			r.judge(s, Changed, "the check selects no database")
		default:
			r.judge(s, Changed, "there is no check of service %s, and the one that is made does not use it", v.kind)
		}
	}
	external := strings.HasPrefix(v.checkType, "external")
	if v.command != nil && !external {
		r.judge(v.command, NoEffect, "it is for checktype external")
	}
	if v.kindAt != nil && !v.kindPort && n.uses == "" && n.write == nil && v.kind != "none" {
		r.judge(v.kindAt, NoEffect, "it is for checktype negotiate")
	}
	if s := v.own.timeAt["checkinterval"]; s != nil && !global.fork {
		r.judge(s, NoEffect, "without fork = yes ldirectord uses the global one")
	}
	for _, d := range []*directord{v.own, global} {
		if s := d.timeAt["checkcount"]; s != nil {
			r.judge(s, Changed, "of a ping it is how often it is tried within a check, and otherwise nothing: fall counts checks")
		}
	}
	if v.checkType == "combined" && n.write != nil {
		r.judge(v.checkAt, Changed, "each check asks the service, instead of only opening a connection most of the time")
	}
}
