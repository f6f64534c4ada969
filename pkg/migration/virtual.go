package migration

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// virtual is a virtual server of ldirectord.
type virtual struct {
	*service
	own       *directord
	place     endpoint
	ipv6      bool
	checkType string // connect, negotiate, ping, external, external-perl, on, off or combined
	kind      string // service: http, mysql, …
	port      int    // checkport; 0: that of the real server
	portAt    *conftree.Statement
	kindPort  bool // the port of the service is that of a check
	// as they are written; nil if they are not
	checkAt, kindAt, request, receive, method, host, login, password, database, secret, command *conftree.Statement
	reals                                                                                       []*conftree.Statement
}

func (v *virtual) settings() *directord { return v.own }

// keep makes a handler that keeps the statement.
func keep(in func(*virtual) **conftree.Statement) handler[*virtual] {
	return func(r *reader, v *virtual, s *conftree.Statement) {
		if before := *in(v); before != nil {
			r.judge(before, NoEffect, "line %d replaces it", s.At().Line)
		}
		*in(v) = s
		if s.Arg(1) == "" {
			r.judge(s, Refused, "the value is missing")
			*in(v) = nil
		} else if s.Words[1].Quoted {
			r.surplus(s, 2)
		}
	}
}

var virtualDirectives = sharedDirectives(words[*virtual]{
	"fallback": readFallback, "fallback6": readFallback,
	"real":  readReal(false),
	"real6": readReal(true),
	"checktype": func(r *reader, v *virtual, s *conftree.Statement) {
		word := s.Arg(1)
		known := []string{"connect", "negotiate", "ping", "external", "external-perl", "on", "off"}
		switch n, err := strconv.Atoi(word); {
		case err == nil && n >= 0:
			v.checkType = "combined"
		case slices.Contains(known, word):
			v.checkType = word
		default:
			r.judge(s, Refused, "'%s' is no type of check: %s or a number%s", word, strings.Join(known, ", "), didYouMean(word, known))
			return
		}
		v.checkAt = s
		r.surplus(s, 2)
	},
	"service": func(r *reader, v *virtual, s *conftree.Statement) {
		if _, known := negotiations[s.Arg(1)]; !known {
			r.judge(s, Refused, "'%s' is no service%s", s.Arg(1), didYouMean(s.Arg(1), slices.Sorted(maps.Keys(negotiations))))
			return
		}
		v.kind, v.kindAt = s.Arg(1), s
		r.surplus(s, 2)
	},
	"checkport": func(r *reader, v *virtual, s *conftree.Statement) {
		if n, ok := r.digits(s, 1, 65535); ok {
			v.port, v.portAt = n, s
		}
	},
	"checkcommand": keep(func(v *virtual) **conftree.Statement { return &v.command }),
	"request":      keep(func(v *virtual) **conftree.Statement { return &v.request }),
	"receive":      keep(func(v *virtual) **conftree.Statement { return &v.receive }),
	"httpmethod":   keep(func(v *virtual) **conftree.Statement { return &v.method }),
	"virtualhost":  keep(func(v *virtual) **conftree.Statement { return &v.host }),
	"login":        keep(func(v *virtual) **conftree.Statement { return &v.login }),
	"passwd":       keep(func(v *virtual) **conftree.Statement { return &v.password }),
	"database":     keep(func(v *virtual) **conftree.Statement { return &v.database }),
	"secret":       keep(func(v *virtual) **conftree.Statement { return &v.secret }),
	"load":         noEffect[*virtual]("ldirectord reads it and does nothing with it"),
	"monitorfile":  changed[*virtual]("lvsctl explain shows the last results of each check, lvsctl events what came of them"),
	"scheduler":    func(r *reader, v *virtual, s *conftree.Statement) { readScheduler(r, v.service, s) },
	"persistent": func(r *reader, v *virtual, s *conftree.Statement) {
		if n, ok := r.digits(s, 1, 744*3600); ok {
			r.set(v.persistence, "timeout", duration(float64(n)), s)
		}
	},
	"netmask": func(r *reader, v *virtual, s *conftree.Statement) { readGranularity(r, v.service, s) },
	"protocol": func(r *reader, v *virtual, s *conftree.Statement) {
		switch word := s.Arg(1); {
		case v.place.mark != 0 && word == "fwm":
		case v.place.mark == 0 && (word == "tcp" || word == "udp"):
			v.place.protocol = word
		default:
			r.judge(s, Refused, "'%s' is not the protocol: tcp or udp with an address, fwm with a firewall mark", word)
		}
	},
	"ops": func(r *reader, v *virtual, s *conftree.Statement) {
		if yes, ok := r.yes(s); ok && yes {
			r.set(v.object, "one_packet", true, s)
		}
	},
})

func readFallback(r *reader, v *virtual, s *conftree.Statement) {
	if before := v.own.fallback; before != nil {
		r.judge(before, NoEffect, "line %d replaces it", s.At().Line)
	}
	if v.own.fallback = nil; r.fallbackFamily(s, v.ipv6) {
		v.own.fallback = s
	}
}

func readReal(six bool) handler[*virtual] {
	return func(r *reader, v *virtual, s *conftree.Statement) {
		if v.ipv6 != six {
			r.judge(s, Refused, "ldirectord does not start: real is of virtual, real6 of virtual6")
			return
		}
		v.reals = append(v.reals, s)
	}
}

func (r *reader) readVirtual(global *directord, s *conftree.Statement) {
	v := &virtual{
		service: &service{object: &object{at: s, comments: comments(s)}, times: times{}, weight: 1, persistence: &object{}, sorryKeys: &object{}},
		own:     newDirectord(), ipv6: s.Keyword() == "virtual6", checkType: "negotiate",
	}
	if !r.virtualPlace(v, s) {
		r.judgeAll(s, Refused, "want virtual = ADDRESS:PORT, virtual6 = [ADDRESS]:PORT or a firewall mark")
		return
	}
	readBlock(r, s, v, virtualDirectives)
	v.endpoint(r, v.place)
	v.add("scheduler", "wrr")
	if v.kind == "" {
		v.kind = serviceOfPort(v.place)
	}
	if e := v.get("one_packet"); e != nil && v.place.mark != 0 {
		r.judge(e.at, NoEffect, "ldirectord does not use it with a firewall mark")
		v.remove("one_packet")
	}
	r.readReals(v, global)
	r.applyQuiescent(v, global)
	r.fallbackOf(v, global)
	r.judgeUnused(v, global)
	if r.finishService(v.service) && v.checkType == "off" {
		r.judge(v.checkAt, Changed, "with off ldirectord gives no real server connections: weight 0 is written")
	}
}

// virtualPlace reads what clients connect to.
func (r *reader) virtualPlace(v *virtual, s *conftree.Statement) bool {
	if n, err := strconv.ParseUint(s.Arg(1), 10, 32); err == nil && n > 0 {
		v.place = endpoint{mark: int(n), ipv6: v.ipv6}
		return true
	}
	at, ok := r.addrPort(s, s.Arg(1), 0)
	switch {
	case !ok || at.Port() == 0:
		return false
	case at.Addr().Is6() != v.ipv6:
		r.judge(s, Changed, "ldirectord does not start: virtual is for IPv4 and virtual6 for IPv6; it is written as it is meant")
		v.ipv6 = at.Addr().Is6()
	}
	v.place = endpoint{protocol: "tcp", at: at}
	if at.Port() == 53 {
		v.place.protocol = "udp"
	}
	r.surplus(s, 2)
	return true
}

// applyQuiescent writes what happens to the connections of a real server that is down.
func (r *reader) applyQuiescent(v *virtual, global *directord) {
	s := v.own.quiescent
	if s == nil {
		s = global.quiescent
	}
	switch {
	case s == nil:
	case s.Arg(1) == "yes":
		r.set(v.object, "on_failure", "drain", nil)
	case v.text("scheduler") == "mh":
		r.set(v.object, "on_failure", "expire", nil)
	}
	if s != nil && s.Arg(1) == "no" {
		r.judge(s, Changed, "connections of a real server that is down are answered with a reset, which ends them at once")
	}
}

// readReals reads the real servers.
func (r *reader) readReals(v *virtual, global *directord) {
	for _, s := range v.reals {
		first, count, port, ok := r.realPlace(s)
		if !ok {
			continue
		}
		if first.Is6() != v.ipv6 {
			r.judge(s, Refused, "%s is of another address family than the virtual server", first)
			continue
		}
		if n := len(v.servers) + count; n > maxServers || r.expanded+count > maxExpanded {
			r.judge(s, Refused, "there are at most %d real servers of a virtual server, and %d of a file", maxServers, maxExpanded)
			continue
		}
		forward, ok := r.gate(s, s.Arg(2))
		if !ok {
			continue
		}
		weight, request, receive, ok := r.realRest(s)
		if !ok {
			continue
		}
		v.add("forward", forward)
		r.expanded += count
		for a := first; count > 0; a, count = a.Next(), count-1 {
			rs := &server{object: &object{at: s, comments: comments(s)}, of: v.service, times: times{}, addr: a, port: port}
			if forward != v.text("forward") {
				r.set(rs.object, "forward", forward, nil)
			}
			if v.checkType == "off" {
				weight = 0
			}
			r.set(rs.object, "weight", weight, nil)
			if c := r.directordCheck(v, rs, global, request, receive); c != nil {
				rs.checks = []*object{c}
			}
			v.servers = append(v.servers, rs)
		}
	}
}

// maxServers is how many real servers a virtual server of ldirectord may have, maxExpanded how many a file, in which a line may be
// many of them.
const (
	maxServers  = 1024
	maxExpanded = 10_000
)

// realPlace reads ADDRESS[->ADDRESS][:PORT]: the first address, how many there are, and the port.
func (r *reader) realPlace(s *conftree.Statement) (first netip.Addr, count, port int, ok bool) {
	firstText, lastText, ranged := strings.Cut(s.Arg(1), "->")
	from, ok := r.addrPort(s, firstText, 0)
	if !ok || !ranged {
		return from.Addr(), 1, int(from.Port()), ok
	}
	to, ok := r.addrPort(s, lastText, 0)
	if !ok {
		return first, 0, 0, false
	}
	if count, ok = rangeSize(from.Addr(), to.Addr()); !ok {
		r.judge(s, Refused, "%s to %s is no range of at most %d addresses", from.Addr(), to.Addr(), maxServers)
	} else if from.Addr().Is6() {
		r.judge(s, Changed, "ldirectord does not start: it has no ranges of IPv6 addresses; it is written as it is meant")
	}
	return from.Addr(), count, int(to.Port()), ok
}

// realRest reads [WEIGHT] ["REQUEST", "RECEIVE"].
func (r *reader) realRest(s *conftree.Statement) (weight int, request, receive *conftree.Word, ok bool) {
	rest := s.Words[min(3, len(s.Words)):]
	weight = 1
	if len(rest) > 0 && !rest[0].Quoted {
		n, err := strconv.ParseUint(rest[0].Text, 10, 16)
		if err != nil {
			r.judge(s, Refused, "'%s' is no weight from 0 to 65535", rest[0].Text)
			return 0, nil, nil, false
		}
		weight, rest = int(n), rest[1:]
	}
	switch {
	case len(rest) == 0:
	case len(rest) == 2 && rest[0].Quoted && rest[1].Quoted:
		request, receive = &rest[0], &rest[1]
	default:
		r.judge(s, Refused, `want ADDRESS:PORT METHOD WEIGHT "REQUEST", "RECEIVE"; '%s' is not understood`, rest[len(rest)-1].Text)
		return 0, nil, nil, false
	}
	return weight, request, receive, true
}
