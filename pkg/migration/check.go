package migration

import (
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
	"github.com/lvs-director/lvs-director/pkg/keepalived"
)

// times are delay_loop, connect_timeout, retry, delay_before_retry and warmup, as far as they are set.
type times map[string]float64

// timeWords adds the keywords of times, which virtual servers, real servers and checks share.
func timeWords[T any](into words[T], of func(T) times) words[T] {
	for word, most := range map[string]float64{"delay_loop": 3600, "connect_timeout": 3600, "delay_before_retry": 3600, "warmup": 3600} {
		into[word] = func(r *reader, in T, s *conftree.Statement) {
			if _, n, ok := r.seconds(s, 0, most); ok {
				of(in)[word] = n
			}
		}
	}
	into["retry"] = func(r *reader, in T, s *conftree.Statement) {
		if n, ok := r.number(s, 0, 99); ok {
			of(in)["retry"] = float64(n)
		}
	}
	into["nb_get_retry"] = noEffect[T]("keepalived knows it in HTTP_GET and SSL_GET only, and ignores it here; the word is retry")
	return into
}

// checkBlock is a check of a real server.
type checkBlock struct {
	*object
	kind  string
	times times
	urls  []*object
	host  string
	ip    string
}

func (c *checkBlock) keys() *object { return c.object }

// common adds the keywords of all checks over the network.
func common(into words[*checkBlock]) words[*checkBlock] {
	into["connect_port"] = numberTo[*checkBlock]("port", 1, 65535)
	into["bind_if"] = func(r *reader, c *checkBlock, s *conftree.Statement) { r.set(c.object, "source", s.Arg(1), s) }
	into["bindto"] = readBindTo
	into["bind_port"] = changed[*checkBlock]("checks come from any port")
	into["connect_ip"] = func(_ *reader, c *checkBlock, s *conftree.Statement) { c.ip = s.Arg(1) }
	into["fwmark"] = numberTo[*checkBlock]("mark", 0, 1<<31-1)
	into["alpha"] = always[*checkBlock]("a real server gets no connections before its first good check, always")
	into["log_all_failures"] = changed[*checkBlock]("lvsctl explain shows the last failures of each check")
	return timeWords(into, func(c *checkBlock) times { return c.times })
}

var (
	tcpWords  = common(words[*checkBlock]{})
	pingWords = common(words[*checkBlock]{})
	smtpWords = common(words[*checkBlock]{
		"helo_name": func(r *reader, c *checkBlock, s *conftree.Statement) { r.set(c.object, "helo", s.Arg(1), s) },
		"host":      refused[*checkBlock]("write a check for each host"),
	})
	dnsWords = common(words[*checkBlock]{
		"type": func(r *reader, c *checkBlock, s *conftree.Statement) {
			r.set(c.object, "record", strings.ToUpper(s.Arg(1)), s)
		},
		"name": func(r *reader, c *checkBlock, s *conftree.Statement) { r.set(c.object, "query", s.Arg(1), s) },
	})
	udpWords = common(words[*checkBlock]{
		"payload": func(r *reader, c *checkBlock, s *conftree.Statement) {
			r.set(c.object, "send_hex", quoted(strings.Join(s.Args(), "")), s)
		},
		"require_reply": func(r *reader, c *checkBlock, s *conftree.Statement) {
			r.set(c.object, "answer", "required", s)
			r.reply(c, s)
		},
		"min_reply_length": refused[*checkBlock]("write expect or expect_regex"),
		"max_reply_length": refused[*checkBlock]("write expect or expect_regex"),
	})
	miscWords = timeWords(words[*checkBlock]{
		"misc_path": readMiscPath,
		"misc_timeout": func(r *reader, c *checkBlock, s *conftree.Statement) {
			_, c.times["connect_timeout"], _ = r.seconds(s, 0.01, 3600)
		},
		"misc_dynamic": flagTo[*checkBlock]("sets_weight", true),
		"user":         func(r *reader, c *checkBlock, s *conftree.Statement) { r.setUser(c.object, s.Args(), s) },
		"alpha":        always[*checkBlock]("a real server gets no connections before its first good check, always"),
	}, func(c *checkBlock) times { return c.times })
	fileCheckWords = timeWords(words[*checkBlock]{
		"track_file": func(r *reader, c *checkBlock, s *conftree.Statement) {
			t := r.scripts["file "+s.Arg(1)]
			if t == nil {
				r.judge(s, Refused, "no track_file of this name")
				return
			}
			t.used = true
			r.set(c.object, "path", t.text("path"), s)
		},
		"dynamic": refused[*checkBlock]("with sets_weight: true the number in the file is the weight; in keepalived it is added to it"),
		"weight":  refused[*checkBlock]("with sets_weight: true the number in the file is the weight; in keepalived it is added to it"),
	}, func(c *checkBlock) times { return c.times })
	httpWords = common(words[*checkBlock]{
		"url":         readURL,
		"virtualhost": func(_ *reader, c *checkBlock, s *conftree.Statement) { c.host = s.Arg(1) },
		"http_protocol": func(r *reader, c *checkBlock, s *conftree.Statement) {
			if !strings.HasPrefix(s.Arg(1), "1.1") {
				r.judge(s, Changed, "checks speak HTTP/1.1")
			}
		},
		"fast_recovery": always[*checkBlock]("all pages are asked for in each check"),
		"enable_sni":    always[*checkBlock]("the name in the TLS handshake is that of the host"),
		"sni_name":      func(r *reader, c *checkBlock, s *conftree.Statement) { r.set(c.object, "server_name", s.Arg(1), s) },
		"ssl_version":   refused[*checkBlock]("checks take the highest version of TLS that both know"),
	})
)

// readBindTo translates the director's own address.
func readBindTo(r *reader, c *checkBlock, s *conftree.Statement) {
	own := []string{r.options.Addresses[r.node]}
	for _, i := range r.instances {
		own = append(own, i.own)
	}
	if s.Arg(1) != "" && slices.Contains(own, s.Arg(1)) {
		r.set(c.object, "source", "director", s)
		return
	}
	r.judge(s, Refused, "write source: INTERFACE, or if it is the director's own address source: director")
}

func (r *reader) reply(c *checkBlock, s *conftree.Statement) {
	if len(s.Words) > 1 {
		r.judge(s, Refused, "write the answer as expect or expect_regex")
	}
}

func readMiscPath(r *reader, c *checkBlock, s *conftree.Statement) {
	command, _ := keepalived.Script(s.Raw, 1)
	if argv := r.argv(s, command); argv != nil {
		r.set(c.object, "command", argv, s)
	}
}

// urlWords are the keywords of a url.
var urlWords = words[*object]{
	"path":           func(r *reader, u *object, s *conftree.Statement) { r.set(u, "paths", []string{s.Arg(1)}, s) },
	"digest":         readDigest,
	"virtualhost":    func(r *reader, u *object, s *conftree.Statement) { r.set(u, "host", s.Arg(1), s) },
	"regex":          func(r *reader, u *object, s *conftree.Statement) { r.set(u, "expect_regex", s.Arg(1), s) },
	"status_code":    readStatus,
	"regex_no_match": refused[*object]("a regular expression that must not match is not supported"),
	"regex_options":  refused[*object]("write them into the expression: (?i)"), "regex_stack": noEffect[*object](process),
	"regex_min_offset": refused[*object]("not supported"), "regex_max_offset": refused[*object]("not supported"),
	"tls_compliant": changed[*object]("a body that ends early is wrong"),
}

func readURL(r *reader, c *checkBlock, s *conftree.Statement) {
	u := &object{at: s}
	readBlock(r, s, u, urlWords)
	c.urls = append(c.urls, u)
}

func readDigest(r *reader, u *object, s *conftree.Statement) {
	if d := s.Arg(1); len(d) != 32 || strings.Trim(strings.ToLower(d), "0123456789abcdef") != "" {
		r.judge(s, Refused, "'%s' is no MD5 of 32 hexadecimal digits, so the check never passes in keepalived", d)
		return
	}
	r.set(u, "digest", quoted(strings.ToLower(s.Arg(1))), s)
}

func readStatus(r *reader, u *object, s *conftree.Statement) {
	var codes []string
	for _, w := range s.Args() {
		low, high, ranged := strings.Cut(w, "-")
		a, err := strconv.Atoi(low)
		b, err2 := strconv.Atoi(high)
		if err != nil || ranged && err2 != nil || a < 100 || a > 599 || ranged && (b < a || b > 599) {
			r.judge(s, Refused, "'%s' is no status code", w)
			return
		}
		codes = append(codes, w)
	}
	n := encode(codes)
	for _, c := range n.Content {
		if !strings.Contains(c.Value, "-") {
			c.Tag = "!!int"
			c.Style = 0
		}
	}
	r.set(u, "status", n, s)
}

// checkOf reads a check with these defaults of keepalived: how often a failure is repeated, and after how many seconds.
func checkOf(kind string, retry, delay float64, known words[*checkBlock]) handler[*server] {
	return func(r *reader, rs *server, s *conftree.Statement) {
		c := &checkBlock{object: &object{at: s}, kind: kind, times: times{}}
		r.set(c.object, "type", kind, nil)
		readBlock(r, s, c, known, "checks")
		if c.ip != "" && c.ip != rs.addr.String() {
			r.judgeAll(s, Refused, "a check of another address than the real server's is not supported")
			return
		}
		required := map[string]string{"command": "command", "file": "path"}
		if key := required[kind]; key != "" && c.get(key) == nil {
			r.judgeAll(s, Refused, "it has no %s", map[string]string{"command": "misc_path", "file": "track_file"}[kind])
			return
		}
		if kind == "command" && c.get("user") == nil {
			r.setUser(c.object, nil, nil)
		}
		r.finishTimes(rs, c, s, times{"retry": retry, "delay_before_retry": delay})
		rs.checks = append(rs.checks, r.pages(rs, c)...)
	}
}

// finishTimes writes the interval and what depends on it, from the check, the real server, the virtual server and the
// defaults.
func (r *reader) finishTimes(rs *server, c *checkBlock, s *conftree.Statement, defaults times) {
	get := func(key string, otherwise float64) float64 {
		for _, t := range []times{c.times, rs.times, rs.of.times, defaults} {
			if n, set := t[key]; set {
				return n
			}
		}
		return otherwise
	}
	interval := max(get("delay_loop", 60), 0.1)
	timeout := get("connect_timeout", 5)
	if c.kind == "command" || c.kind == "file" {
		timeout = interval
		if n, set := c.times["connect_timeout"]; set {
			timeout = n
		}
	}
	if timeout > interval {
		r.judge(s, Changed, "a check takes at most its interval: timeout %s", duration(interval))
		timeout = interval
	}
	r.set(c.object, "interval", duration(interval), nil)
	if timeout >= 0.01 {
		r.set(c.object, "timeout", duration(timeout), nil)
	}
	retry := get("retry", 0)
	r.set(c.object, "fall", int(retry)+1, nil)
	r.set(c.object, "rise", 1, nil)
	if delay := get("delay_before_retry", 0); retry > 0 && delay > 0 && delay < interval {
		r.set(c.object, "retry_interval", duration(max(delay, 0.01)), nil)
	}
	if warmup := get("warmup", 0); warmup > 0 {
		r.judge(s, Changed, "warmup is a fixed time here, and random up to it in keepalived")
		r.set(c.object, "warmup", duration(warmup), nil)
	}
	c.sort("type", "port", "command", "user", "groups", "interval", "timeout", "fall", "rise", "retry_interval")
}

// pages makes a check for each url, because they may expect different answers.
func (r *reader) pages(rs *server, c *checkBlock) []*object {
	if c.kind != "http" && c.kind != "https" {
		return []*object{c.object}
	}
	if len(c.urls) == 0 {
		r.judgeAll(c.at, Refused, "it has no url, so keepalived checks nothing")
		return nil
	}
	var all []*object
	for _, u := range c.urls {
		o := &object{at: c.at, entries: append([]entry{}, c.entries...)}
		o.entries = append(o.entries, u.entries...)
		for _, host := range []string{c.host, rs.host, rs.of.host} {
			if host != "" {
				o.add("host", host)
			}
		}
		o.sort("type", "port", "paths", "host", "server_name", "status", "digest", "expect_regex", "interval", "timeout", "fall", "rise", "retry_interval")
		all = append(all, o)
	}
	return all
}

func init() {
	delete(miscWords, "connect_timeout") // it has misc_timeout
	httpWords["nb_get_retry"] = httpWords["retry"]
}
