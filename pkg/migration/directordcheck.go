package migration

import (
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
	names := map[uint16]string{
		21: "ftp", 25: "smtp", 53: "dns", 80: "http", 110: "pop", 119: "nntp", 143: "imap", 389: "ldap", 443: "https", 587: "submission", 993: "imaps",
		995: "pops", 1521: "oracle", 1812: "radius", 3128: "http_proxy", 3306: "mysql", 5060: "sip", 5432: "pgsql",
	}
	if kind := names[e.at.Port()]; kind != "" && e.mark == 0 {
		return kind
	}
	return "none"
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
		if n.write == nil {
			return nil
		}
		q.timeoutOfAnswer = true
		n.write(r, q)
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
	if s == nil {
		return ""
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
			q.check.add("type", q.v.place.protocol)
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
		if u, err := url.Parse(page); err == nil && u.Scheme != "" && u.Host != "" {
			r.judge(q.requestAt, Changed, "ldirectord asks %s instead of the real server: the real server is asked, with this Host", u.Host)
			q.check.add("host", u.Host)
			page = strings.TrimPrefix(u.RequestURI(), "/")
		}
		if page != "" {
			q.check.add("paths", []string{"/" + page})
		}
		if q.v.host != nil {
			q.check.add("host", valueOf(q.v.host))
		}
		if m := strings.ToUpper(valueOf(q.v.method)); m == "HEAD" {
			q.check.add("method", m)
		} else if m != "" && m != "GET" {
			r.judge(q.v.method, Refused, "'%s' is no method: GET or HEAD", m)
		}
		q.expect(r, "expect_regex")
		at := q.requestAt
		if at == nil {
			at = q.v.at
		}
		r.judge(at, Changed, "redirects are not followed: if the page is one, write the one that it leads to, or status: [200-399]")
	}
}

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
		q.check.add("query", query)
		q.check.add("record", record)
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
	q.check.add("type", q.v.place.protocol)
	if q.v.place.mark != 0 {
		q.check.remove("type")
		q.check.add("type", "tcp")
	}
	if send := strings.TrimPrefix(q.request, "/"); send != "" {
		q.check.add("send", quoted(strings.ReplaceAll(send, `\n`, "\n")))
	}
	q.expect(r, "expect_regex")
}

// finish writes the port and the times.
func (q *question) finish(r *reader) {
	v, c := q.v, q.check
	if kind := c.text("type"); kind != "ping" && kind != "command" {
		port := v.port
		_, nat := v.servesBy(q.rs), v.servesBy(q.rs) == "nat"
		if port == 0 && (v.many || !nat && q.rs.port != int(v.place.at.Port())) {
			port = q.rs.port
		}
		if port == 0 && v.many {
			port = int(portNames[v.kind])
		}
		switch {
		case port != 0:
			c.add("port", port)
		case v.many:
			r.judge(v.at, Refused, "the port of the check is not known: write port in checks")
		}
	}
	interval, timeout := q.times(r)
	c.add("interval", duration(float64(interval)))
	c.add("timeout", duration(float64(timeout)))
	c.add("fall", q.time("failurecount", 1))
	c.add("rise", 1)
	c.sort("type", "port", "command", "user", "password_file", "paths", "method", "host", "query", "record", "send", "expect", "expect_regex", "interval", "timeout", "fall", "rise")
}

// servesBy is the forwarding method of a real server.
func (v *virtual) servesBy(rs *server) string {
	if forward := rs.text("forward"); forward != "" {
		return forward
	}
	return v.text("forward")
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
	if v.kindAt != nil && n.uses == "" && n.write == nil && v.kind != "none" {
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
	if v.checkType == "combined" {
		r.judge(v.checkAt, Changed, "each check asks the service, instead of only opening a connection most of the time")
	}
}
