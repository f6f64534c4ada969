package migration

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// endpoint is what identifies a virtual server in the table of IPVS.
type endpoint struct {
	protocol string
	at       netip.AddrPort
	mark     int
	ipv6     bool // of a mark
}

// tableLine is -A or -a.
type tableLine struct {
	*object  // of the virtual server, or of the real server
	service  *service
	server   *server
	endpoint endpoint
	tunnel   *object
}

func (l *tableLine) keys() *object { return l.object }

// endpointWords adds the options that name a virtual server.
func endpointWords(into words[*tableLine]) words[*tableLine] {
	for _, protocol := range []string{"tcp", "udp", "sctp"} {
		into[protocol+"-service"] = func(r *reader, l *tableLine, s *conftree.Statement) {
			if at, ok := r.addrPort(s, s.Arg(1), 0); ok {
				l.endpoint.protocol, l.endpoint.at = protocol, at
			}
		}
	}
	into["fwmark-service"] = func(r *reader, l *tableLine, s *conftree.Statement) {
		if n, err := strconv.ParseInt(s.Arg(1), 10, 32); err == nil && n < 0 { // as ipvsadm -S prints marks from 2³¹ on
			l.endpoint.mark = int(uint32(n))
		} else if n, ok := r.number(s, 1, 1<<32-1); ok {
			l.endpoint.mark = n
		}
	}
	into["ipv6"] = func(_ *reader, l *tableLine, _ *conftree.Statement) { l.endpoint.ipv6 = true }
	return into
}

// of makes a handler of a virtual server's keyword one of an option.
func of(read handler[*service]) handler[*tableLine] {
	return func(r *reader, l *tableLine, s *conftree.Statement) { read(r, l.service, s) }
}

var tableServiceWords = endpointWords(words[*tableLine]{
	"scheduler":   of(readScheduler),
	"sched-flags": of(readSchedulerFlags),
	"pe":          of(serviceWords["persistence_engine"]),
	"persistent": of(func(r *reader, v *service, s *conftree.Statement) {
		if s.Arg(1) == "" {
			r.set(v.persistence, "timeout", "300s", s)
		} else if d, _, ok := r.seconds(s, 1, 744*3600); ok {
			r.set(v.persistence, "timeout", d, s)
		}
	}),
	"netmask": of(readGranularity),
	"ops":     of(func(r *reader, v *service, s *conftree.Statement) { r.set(v.object, "one_packet", true, s) }),
})

var tableServerWords = endpointWords(words[*tableLine]{
	"real-server": func(r *reader, l *tableLine, s *conftree.Statement) {
		if at, ok := r.addrPort(s, s.Arg(1), l.endpoint.at.Port()); ok {
			l.server.addr, l.server.port = at.Addr(), int(at.Port())
		}
	},
	"gatewaying":   forwarding("dr"),
	"ipip":         forwarding("tun"),
	"masquerading": forwarding("nat"),
	"weight":       numberTo[*tableLine]("weight", 0, 65535),
	"u-threshold":  numberTo[*tableLine]("upper_threshold", 0, 1<<31-1),
	"l-threshold":  numberTo[*tableLine]("lower_threshold", 0, 1<<31-1),
	"tun-type": func(r *reader, l *tableLine, s *conftree.Statement) {
		if !slices.Contains([]string{"ipip", "gre", "gue"}, s.Arg(1)) {
			r.judge(s, Refused, "'%s' is no tunnel: ipip, gre or gue", s.Arg(1))
			return
		}
		r.set(l.tunnel, "type", s.Arg(1), s)
	},
	"tun-port": func(r *reader, l *tableLine, s *conftree.Statement) {
		if n, ok := r.number(s, 1, 65535); ok {
			r.set(l.tunnel, "port", n, s)
		}
	},
	"tun-nocsum":  tunnelChecksum("none"),
	"tun-csum":    tunnelChecksum("full"),
	"tun-remcsum": tunnelChecksum("remote"),
})

func forwarding(method string) handler[*tableLine] {
	return func(r *reader, l *tableLine, s *conftree.Statement) { r.set(l.object, "forward", method, s) }
}

func tunnelChecksum(kind string) handler[*tableLine] {
	return func(r *reader, l *tableLine, s *conftree.Statement) { r.set(l.tunnel, "checksum", kind, s) }
}

// readSchedulerFlags reads sh-fallback,sh-port and the like.
func readSchedulerFlags(r *reader, v *service, s *conftree.Statement) {
	for _, flag := range strings.Split(s.Arg(1), ",") {
		read := serviceWords[flag]
		if !slices.Contains([]string{"flag-1", "flag-2", "sh-fallback", "sh-port", "mh-fallback", "mh-port"}, flag) || read == nil {
			r.judge(s, Refused, "'%s' is no flag of a scheduler: sh-fallback, sh-port, mh-fallback or mh-port", flag)
			continue
		}
		read(r, v, s)
	}
}

// tableCommands are what is done with commands of ipvsadm.
var tableCommands = words[*reader]{
	"add-service":    func(r *reader, _ *reader, s *conftree.Statement) { r.addService(s) },
	"add-server":     func(r *reader, _ *reader, s *conftree.Statement) { r.addServer(s) },
	"edit-service":   refused[*reader](finalForm),
	"edit-server":    refused[*reader](finalForm),
	"delete-service": refused[*reader](finalForm),
	"delete-server":  refused[*reader](finalForm),
	"clear":          changed[*reader]("a start adopts what is in the kernel and writes the differences"),
	"zero":           noEffect[*reader]("it changes counters only"),
	"list":           noEffect[*reader]("it only prints"),
	"save":           noEffect[*reader]("it only prints"),
	"help":           noEffect[*reader]("it only prints"),
	"version":        noEffect[*reader]("it only prints"),
	"restore":        refused[*reader]("import the file that it reads"),
	"stop-daemon":    changed[*reader]("the director stops what it has started"),
	"set":            readTableTimeouts,
	"start-daemon":   func(r *reader, _ *reader, s *conftree.Statement) { r.readTableDaemon(s) },
}

const finalForm = "it changes what other commands make: run them all, and import the output of ipvsadm -Sn"

// readTable reads commands of ipvsadm.
func (r *reader) readTable(tree *conftree.Tree) {
	before := len(r.added)
	for _, s := range tree.Statements {
		read := tableCommands[s.Keyword()]
		if read == nil {
			r.foreign(s, maps.Keys(tableCommands), nil)
			continue
		}
		read(r, r, s)
		r.rest(s)
	}
	services := r.added[before:]
	for _, v := range services {
		r.finishTableService(v)
	}
	if len(services) > 0 {
		r.says("what ipvsadm -S does not print: timeouts (ipvsadm -Ln --timeout), thresholds of real servers (ipvsadm -Ln --thresholds) and the sync daemon (ipvsadm -Ln --daemon)")
		r.says("whether real servers are missing, or have weight 0, because they were down when the table was saved")
	}
}

func (r *reader) addService(s *conftree.Statement) {
	v := &service{object: &object{at: s, comments: comments(s)}, times: times{}, weight: 1, persistence: &object{}, sorryKeys: &object{}}
	l := &tableLine{object: v.object, service: v}
	readBlock(r, s, l, tableServiceWords)
	switch {
	case l.endpoint == endpoint{}:
		r.reject(s, "it has no valid virtual server: -t ADDRESS:PORT, -u ADDRESS:PORT or -f MARK")
		return
	case r.table[l.endpoint] != nil:
		r.judge(s, Refused, "line %d adds it already", r.table[l.endpoint].at.At().Line)
		return
	}
	v.endpoint(r, l.endpoint)
	v.add("scheduler", "wlc")
	r.table[l.endpoint] = v
	r.added = append(r.added, v)
}

// endpoint writes what clients connect to, and names the virtual server after it.
func (v *service) endpoint(r *reader, e endpoint) {
	if e.mark != 0 {
		r.set(v.object, "fwmark", e.mark, nil)
		r.set(v.object, "marking", "none", nil)
		v.many = true
		v.name = "fwmark-" + strconv.Itoa(e.mark)
		if e.ipv6 {
			v.name += "-ipv6"
		}
		return
	}
	v.many = e.at.Port() == 0
	r.set(v.object, "address", e.at.Addr().String(), nil)
	r.set(v.object, "port", int(e.at.Port()), nil)
	r.set(v.object, "protocol", e.protocol, nil)
	v.name = name(fmt.Sprintf("%s-%s-%d", e.protocol, strings.ReplaceAll(e.at.Addr().String(), ":", "."), e.at.Port()))
}

func (r *reader) addServer(s *conftree.Statement) {
	rs := &server{object: &object{at: s, comments: comments(s)}, times: times{}}
	l := &tableLine{object: rs.object, server: rs, tunnel: &object{}}
	readBlock(r, s, l, tableServerWords)
	v := r.table[l.endpoint]
	switch {
	case v == nil:
		r.reject(s, "no -A before it adds its virtual server")
		return
	case !rs.addr.IsValid():
		r.reject(s, "it has no valid real server: -r ADDRESS:PORT")
		return
	}
	rs.add("forward", "dr")
	if kind := l.tunnel.text("type"); rs.text("forward") == "tun" && (kind == "gre" || kind == "gue") {
		r.set(rs.object, "tunnel", l.tunnel, nil)
	}
	rs.of = v
	v.servers = append(v.servers, rs)
}

// finishTableService writes the method of the first real server at the virtual server.
func (r *reader) finishTableService(v *service) {
	if len(v.servers) > 0 {
		v.add("forward", v.servers[0].text("forward"))
	}
	for _, rs := range v.servers {
		if rs.text("forward") == v.text("forward") {
			rs.remove("forward")
		}
	}
	r.finishService(v)
}

func readTableTimeouts(r *reader, _ *reader, s *conftree.Statement) {
	r.timeouts = &object{at: s}
	for i, key := range []string{"tcp", "tcp_fin", "udp"} {
		n, err := strconv.Atoi(s.Arg(i + 1))
		switch {
		case err != nil || n < 0 || n > 576*3600:
			r.judge(s, Refused, "'%s' is no timeout: three numbers of seconds", s.Arg(i+1))
		case n > 0: // 0: unchanged
			r.set(r.timeouts, key, duration(float64(n)), nil)
		}
	}
	r.surplus(s, 4)
}

// daemonWords are the options of the sync daemon.
var daemonWords = words[*tableLine]{
	"mcast-interface": func(r *reader, l *tableLine, s *conftree.Statement) { r.set(l.object, "interface", s.Arg(1), s) },
	"syncid":          numberTo[*tableLine]("id", 0, 255),
	"sync-maxlen":     numberTo[*tableLine]("maxlen", 1024, 65507),
	"mcast-group":     func(r *reader, l *tableLine, s *conftree.Statement) { r.set(l.object, "group", s.Arg(1), s) },
	"mcast-port":      numberTo[*tableLine]("port", 1, 65535),
	"mcast-ttl":       numberTo[*tableLine]("ttl", 1, 255),
}

func (r *reader) readTableDaemon(s *conftree.Statement) {
	l := &tableLine{object: &object{at: s}}
	readBlock(r, s, l, daemonWords)
	l.add("interface", "eth0")
	switch before := r.global.sync; {
	case before.at == nil:
		r.global.sync = l.object
	case fingerprint(before.node(true)) != fingerprint(l.node(true)):
		r.judge(s, Refused, "there is one connection_sync, and line %d has another one", before.at.At().Line)
	}
}
