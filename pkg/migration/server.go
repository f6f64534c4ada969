package migration

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// server is a real_server.
type server struct {
	*object
	of     *service
	times  times
	host   string
	addr   netip.Addr
	port   int
	checks []*object
	// subject has its hooks only.
	subject subject
}

func (rs *server) keys() *object { return rs.object }

var serverWords = timeWords(words[*server]{
	"weight":             numberTo[*server]("weight", 0, 65535),
	"lvs_method":         readMethod[*server],
	"uthreshold":         numberTo[*server]("upper_threshold", 0, 1<<31-1),
	"lthreshold":         numberTo[*server]("lower_threshold", 0, 1<<31-1),
	"inhibit_on_failure": flagTo[*server]("inhibit_on_failure", true),
	"notify_up":          func(r *reader, rs *server, s *conftree.Statement) { r.readPoolHook(&rs.subject, "server_up", s) },
	"notify_down":        func(r *reader, rs *server, s *conftree.Statement) { r.readPoolHook(&rs.subject, "server_down", s) },
	"smtp_alert":         refused[*server](noMails),
	"alpha":              always[*server]("a real server gets no connections before its first good check, always"),
	"virtualhost":        func(_ *reader, rs *server, s *conftree.Statement) { rs.host = s.Arg(1) },
	"TCP_CHECK":          checkOf("tcp", 1, 1, tcpWords), "HTTP_GET": checkOf("http", 1, 3, httpWords), "SSL_GET": checkOf("https", 1, 3, httpWords),
	"SMTP_CHECK": checkOf("smtp", 1, 1, smtpWords), "DNS_CHECK": checkOf("dns", 3, 0, dnsWords), "UDP_CHECK": checkOf("udp", 1, 1, udpWords),
	"PING_CHECK": checkOf("ping", 1, 1, pingWords), "MISC_CHECK": checkOf("command", 0, 1, miscWords), "FILE_CHECK": checkOf("file", 0, 1, fileCheckWords),
	"BFD_CHECK": refused[*server]("write checks: [{type: ping}], or bfd_sessions and tracks for a router"),
}, func(rs *server) times { return rs.times })

func (r *reader) readServer(v *service, s *conftree.Statement) {
	rs := &server{object: &object{at: s, comments: comments(s)}, of: v, times: times{}}
	addr, err := netip.ParseAddr(s.Arg(1))
	port, err2 := strconv.ParseUint(s.Arg(2), 10, 16)
	if err != nil || len(s.Words) > 3 || s.Arg(2) != "" && err2 != nil {
		r.judgeAll(s, Refused, "want real_server ADDRESS PORT (is a blank missing?)")
		return
	}
	rs.addr, rs.port = addr, int(port)
	readBlock(r, s, rs, serverWords, "real_servers")
	v.servers = append(v.servers, rs)
}

// finishServers writes the real servers, and checks that all of them have at the virtual server.
func (r *reader) finishServers(v *service) {
	port, _ := strconv.Atoi(v.text("port"))
	if r.kind == Keepalived {
		for _, rs := range v.servers {
			r.checkPorts(v, rs, port)
		}
	}
	r.dropTwins(v)
	shared := v.servers[0].checks
	for _, rs := range v.servers[1:] {
		if fingerprint(encode(rs.checks)) != fingerprint(encode(shared)) {
			shared = nil
		}
	}
	r.shareTunnel(v)
	var list []*object
	sharing := map[netip.Addr]int{}
	for _, rs := range v.servers {
		sharing[rs.addr]++
	}
	for _, rs := range v.servers {
		rs.add("weight", v.weight)
		if rs.text("weight") == "1" {
			rs.remove("weight")
		}
		forward := v.forwardOf(rs.object)
		final := v.portOf(forward, rs.port)
		switch {
		case rs.port == 0 || rs.port == final && final == port:
		case rs.port == final:
			r.set(rs.object, "port", rs.port, nil)
		case v.many && forward == "nat":
			r.judge(rs.at, Changed, "the kernel keeps the port that the client connected to, as with %s: %d is left out", r.kind, rs.port)
		case !v.many:
			r.judge(rs.at, Changed, "%s cannot change the port: it is %d, as in %s", strings.ToUpper(forward), port, r.kind)
		}
		r.nameServer(rs, final, sharing[rs.addr] > 1)
		if len(rs.checks) == 0 {
			r.judge(rs.at, Changed, "it has no check, so it stays in the table when it is down: add one")
		}
		if len(shared) == 0 {
			r.set(rs.object, "checks", rs.checks, nil)
		}
		r.setPoolHooks(rs.object, rs.subject)
		r.judgeServerHooks(v, rs)
		rs.sort("name", "address", "port", "forward", "tunnel", "weight", "upper_threshold", "lower_threshold", "inhibit_on_failure", "notify", "checks")
		list = append(list, rs.object)
	}
	if len(shared) > 0 {
		r.set(v.object, "checks", shared, nil)
	}
	r.set(v.object, "real_servers", list, nil)
}

// forwardOf is the forwarding method of a real server, or of the sorry server.
func (v *service) forwardOf(o *object) string {
	if forward := o.text("forward"); forward != "" {
		return forward
	}
	return v.text("forward")
}

// portOf is the port that packets have at a server with this method and this port; 0 is that of the client's packet, or no port of
// its own.
func (v *service) portOf(forward string, port int) int {
	own, _ := strconv.Atoi(v.text("port"))
	switch {
	case !v.many && (forward != "nat" || port == 0):
		return own
	case v.many && (forward != "nat" || v.get("fwmark") == nil && v.get("ports") == nil || v.get("fwmark") != nil && v.get("persistence") != nil):
		return 0
	}
	return port
}

// dropTwins refuses the second of two real servers with the same address and port.
func (r *reader) dropTwins(v *service) {
	first := map[netip.AddrPort]*server{}
	v.servers = slices.DeleteFunc(v.servers, func(rs *server) bool {
		place := netip.AddrPortFrom(rs.addr, uint16(v.portOf(v.forwardOf(rs.object), rs.port)))
		if before := first[place]; before != nil {
			r.judge(rs.at, Refused, "line %d has the same real server: %s is there once", before.at.At().Line, rs.addr)
			return true
		}
		first[place] = rs
		return false
	})
}

// shareTunnel writes the tunnel of the virtual server at its real servers, which have it here.
func (r *reader) shareTunnel(v *service) {
	e := v.get("tunnel")
	if e == nil {
		return
	}
	tunnel := e.value
	v.remove("tunnel")
	if v.text("forward") != "tun" {
		return
	}
	for _, rs := range v.servers {
		if rs.get("forward") == nil {
			rs.add("tunnel", tunnel)
		}
	}
	if v.sorry != nil && v.sorryKeys.get("forward") == nil {
		v.sorry.add("tunnel", tunnel)
	}
}

// checkPorts writes the port of checks that is not that of the table: of a virtual server with several ports or none, and of a
// real server whose port the method cannot change.
func (r *reader) checkPorts(v *service, rs *server, port int) {
	forward := rs.text("forward")
	if forward == "" {
		forward = v.text("forward")
	}
	for _, c := range rs.checks {
		switch kind := c.text("type"); {
		case kind == "ping" || kind == "command" || kind == "file" || c.get("port") != nil:
		case v.many && rs.port == 0:
			r.judge(rs.at, Refused, "the port of its check is not known: write port in checks")
		case v.many || rs.port != 0 && rs.port != port && forward != "nat":
			c.add("port", rs.port)
			c.sort("type", "port")
		}
	}
}

// nameServer names a real server after its address, because the sources have no names. shared: several have it, with other ports.
func (r *reader) nameServer(rs *server, port int, shared bool) {
	id := name("rs-" + strings.ReplaceAll(rs.addr.String(), ":", "."))
	if shared {
		id = name(id + "-" + strconv.Itoa(port))
	}
	r.set(rs.object, "name", id, nil)
	r.set(rs.object, "address", rs.addr.String(), nil)
	r.says("the names of the real servers: they are named after their addresses; write the host names if they run lvs-realserver")
}
