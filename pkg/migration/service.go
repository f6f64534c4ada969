package migration

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// service is a virtual_server.
type service struct {
	*object
	name                   string
	times                  times
	host                   string // virtualhost
	weight                 int
	quorum, hysteresis     int
	quorumAt, hysteresisAt *conftree.Statement
	sorry                  *object // sorry_server; nil: none
	sorryShared            bool    // its line is that of other virtual servers, too
	sorryKeys              *object // what other keywords say about it
	persistence            *object
	servers                []*server
	subject                subject // has its hooks only
	many                   bool    // several ports, or none
}

func (v *service) keys() *object { return v.object }

const (
	noMails = "write mail and notify: [{on: [server_up, server_down, quorum_up, quorum_down], mail_to: [ADDRESS]}] in the virtual server"
)

var serviceWords = timeWords(words[*service]{
	"lvs_sched": readScheduler, "lb_algo": readScheduler,
	"lvs_method": readMethod[*service], "lb_kind": readMethod[*service],
	"protocol":                readProtocol,
	"persistence_timeout":     readPersistence,
	"persistence_granularity": readGranularity,
	"persistence_engine": func(r *reader, v *service, s *conftree.Statement) {
		if s.Arg(1) != "sip" {
			r.judge(s, Refused, "the only engine is sip")
			return
		}
		r.set(v.persistence, "engine", "sip", s)
	},
	"nat_mask": noEffect[*service]("it means nothing since Linux 2.4, and keepalived removed it in 2015"),
	"ops":      flagTo[*service]("one_packet", true),
	"flag-1":   schedulerFlag("fallback"), "sh-fallback": schedulerFlag("fallback"), "mh-fallback": schedulerFlag("fallback"),
	"flag-2": schedulerFlag("port"), "sh-port": schedulerFlag("port"), "mh-port": schedulerFlag("port"),
	"weight": func(r *reader, v *service, s *conftree.Statement) {
		if n, ok := r.number(s, 0, 65535); ok {
			v.weight = n
		}
	},
	"virtualhost": func(_ *reader, v *service, s *conftree.Statement) { v.host = s.Arg(1) },
	"quorum": func(r *reader, v *service, s *conftree.Statement) {
		v.quorum, _ = r.number(s, 1, 1<<31-1)
		v.quorumAt = s
	},
	"hysteresis": func(r *reader, v *service, s *conftree.Statement) {
		v.hysteresis, _ = r.number(s, 0, 1<<31-1)
		v.hysteresisAt = s
	},
	"quorum_up":    func(r *reader, v *service, s *conftree.Statement) { r.readPoolHook(&v.subject, "quorum_up", s) },
	"quorum_down":  func(r *reader, v *service, s *conftree.Statement) { r.readPoolHook(&v.subject, "quorum_down", s) },
	"smtp_alert":   refused[*service](noMails),
	"sorry_server": readSorryServer,
	"sorry_server_inhibit": func(r *reader, v *service, s *conftree.Statement) {
		r.set(v.sorryKeys, "inhibit_on_failure", true, s)
	},
	"sorry_server_lvs_method": func(r *reader, v *service, s *conftree.Statement) { readMethod(r, keyed{v.sorryKeys}, s) },
	"inhibit_on_failure":      flagTo[*service]("inhibit_on_failure", true),
	"alpha":                   always[*service]("a real server gets no connections before its first good check, always"),
	"ha_suspend":              readSuspend,
	"real_server":             func(r *reader, v *service, s *conftree.Statement) { r.readServer(v, s) },
}, func(v *service) times { return v.times })

func readScheduler(r *reader, v *service, s *conftree.Statement) {
	known := []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "mh", "sed", "nq", "fo", "ovf", "twos"}
	if !slices.Contains(known, s.Arg(1)) {
		r.judge(s, Refused, "'%s' is no scheduler%s", s.Arg(1), didYouMean(s.Arg(1), known))
		return
	}
	r.set(v.object, "scheduler", s.Arg(1), s)
	r.surplus(s, 2)
}

// readSuspend reads ha_suspend, which keepalived ignores for a group.
func readSuspend(r *reader, v *service, s *conftree.Statement) {
	if v.at.Arg(1) == "group" || v.at.Arg(1) == "fwmark" {
		r.judge(s, NoEffect, "keepalived suspends no checks of a group or of a firewall mark")
		return
	}
	r.set(v.object, "ha_suspend", true, s)
}

func readMethod[T target](r *reader, in T, s *conftree.Statement) {
	method := strings.ToLower(s.Arg(1))
	if method != "dr" && method != "nat" && method != "tun" {
		r.judge(s, Refused, "'%s' is no method: DR, NAT or TUN", s.Arg(1))
		return
	}
	r.set(in.keys(), "forward", method, s)
	if method == "tun" {
		r.readTunnel(in.keys(), s)
	} else {
		r.surplus(s, 2)
	}
}

// readTunnel reads type ipip|gre|gue [port N] [nocsum|csum|remcsum] behind TUN.
func (r *reader) readTunnel(o *object, s *conftree.Statement) {
	tunnel := &object{}
	checksums := map[string]string{"nocsum": "none", "csum": "full", "remcsum": "remote"}
	for n := 2; n < len(s.Words); n++ {
		word, value := s.Arg(n), s.Arg(n+1)
		switch port, err := strconv.ParseUint(value, 10, 16); {
		case word == "type" && slices.Contains([]string{"ipip", "gre", "gue"}, value):
			n++
			r.set(tunnel, "type", value, nil)
		case word == "port" && err == nil && port > 0:
			n++
			r.set(tunnel, "port", int(port), nil)
		case checksums[word] != "":
			r.set(tunnel, "checksum", checksums[word], nil)
		default:
			r.judge(s, Refused, "'%s' is not understood: TUN type ipip, gre or gue, port N, nocsum, csum or remcsum", strings.TrimSpace(word+" "+value))
			return
		}
	}
	if kind := tunnel.text("type"); kind == "gre" || kind == "gue" {
		r.set(o, "tunnel", tunnel, nil)
	}
}

func readProtocol(r *reader, v *service, s *conftree.Statement) {
	protocol := strings.ToLower(s.Arg(1))
	if protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		r.judge(s, Refused, "'%s' is no protocol: TCP, UDP or SCTP", s.Arg(1))
		return
	}
	r.set(v.object, "protocol", protocol, s)
	r.surplus(s, 2)
}

func readPersistence(r *reader, v *service, s *conftree.Statement) {
	switch s.Arg(1) {
	case "":
		r.set(v.persistence, "timeout", "360s", s)
	case "0":
		r.judge(s, NoEffect, "keepalived calls 0 invalid, and leaves persistence off")
	default:
		if d, _, ok := r.seconds(s, 1, 744*3600); ok {
			r.set(v.persistence, "timeout", d, s)
		}
	}
}

func readGranularity(r *reader, v *service, s *conftree.Statement) {
	if n, err := strconv.Atoi(s.Arg(1)); err == nil && n >= 1 && n <= 128 {
		r.set(v.persistence, "netmask", n, s)
		return
	}
	mask, err := netip.ParseAddr(s.Arg(1))
	if err == nil && mask.IsUnspecified() {
		r.judge(s, Refused, "with it all clients are one, and have the same real server: write a netmask of at least 1 bit")
		return
	}
	bits := ""
	for _, b := range mask.AsSlice() {
		bits += fmt.Sprintf("%08b", b)
	}
	bits = strings.TrimRight(bits, "0")
	if err != nil || strings.Contains(bits, "0") || bits == "" {
		r.judge(s, Refused, "'%s' is no netmask", s.Arg(1))
		return
	}
	r.set(v.persistence, "netmask", len(bits), s)
}

func schedulerFlag(flag string) handler[*service] {
	return func(r *reader, v *service, s *conftree.Statement) {
		flags := []string{flag}
		if e := v.get("scheduler_flags"); e != nil && e.value.Content[0].Value != flag {
			flags = []string{"fallback", "port"}
		}
		r.set(v.object, "scheduler_flags", flags, nil)
	}
}

func (r *reader) readService(s *conftree.Statement) {
	v := &service{object: &object{at: s, comments: comments(s)}, times: times{}, weight: 1, persistence: &object{}, sorryKeys: &object{}}
	at, ok := r.readEndpoint(v, s)
	if !ok {
		r.judgeAll(s, Refused, "want virtual_server ADDRESS PORT, virtual_server fwmark N or virtual_server group NAME")
		return
	}
	readBlock(r, s, v, serviceWords, "virtual_servers")
	v.add("scheduler", "wlc")
	if v.get("forward") == nil {
		v.add("forward", "nat")
		r.judge(s, Changed, "without lb_kind keepalived takes NAT: so it is written")
	}
	if v.get("protocol") == nil && v.get("fwmark") == nil {
		v.add("protocol", "udp")
		r.judge(s, Changed, "without a protocol keepalived balances UDP: so it is written")
	}
	v.name = name(v.text("protocol") + "-" + at)
	if v.get("fwmark") != nil {
		v.remove("protocol")
		v.name = name(at)
	}
	if suspends := v.get("ha_suspend") != nil; suspends && !alphaIn(s, false) {
		r.set(v.object, "initial_state", "up", nil)
	}
	if r.finishService(v) && v.get("initial_state") == nil {
		r.judge(s, Changed, "a real server gets connections after its first good checks; with initial_state: up at once, as in keepalived")
	}
}

// finishService writes what depends on several keys, and reports whether the virtual server is in the cluster file.
func (r *reader) finishService(v *service) bool {
	r.finishPersistence(v)
	r.finishPackets(v)
	if len(v.servers) == 0 {
		r.judgeAll(v.at, Refused, "it has no real server")
		return false
	}
	r.finishServers(v)
	r.finishQuorum(v)
	r.finishHash(v)
	r.setPoolHooks(v.object, v.subject)
	r.set(v.object, "name", v.name, nil)
	v.sort("name", "address", "addresses", "port", "ports", "fwmark", "marking", "protocol", "scheduler", "scheduler_flags", "one_packet", "forward", "initial_state", "ha_suspend", "persistence", "quorum", "hysteresis", "inhibit_on_failure", "notify", "checks", "real_servers", "sorry_server")
	r.services = append(r.services, v)
	return true
}

// finishHash lets a scheduler that chooses by a hash choose another real server while one has an entry with weight 0, without which
// lvsctl check refuses what makes such entries.
func (r *reader) finishHash(v *service) {
	scheduler, flags := v.text("scheduler"), []string{"fallback"}
	if e := v.get("scheduler_flags"); e != nil {
		for _, n := range e.value.Content {
			if n.Value == "fallback" {
				return
			}
			flags = append(flags, n.Value)
		}
	}
	keeps := v.text("on_failure") == "drain" || v.text("inhibit_on_failure") == "true" || v.sorryWritten() && v.sorry.text("inhibit_on_failure") == "true" ||
		scheduler == "mh" && v.sorryWritten() && v.text("on_failure") != "expire"
	for _, rs := range v.servers {
		keeps = keeps || rs.text("inhibit_on_failure") == "true"
	}
	switch {
	case !keeps:
	case scheduler == "dh":
		r.judge(v.at, Refused, "with dh clients are refused while a server has an entry with weight 0: use another scheduler")
	case scheduler == "sh" || scheduler == "mh":
		r.set(v.object, "scheduler_flags", flags, nil)
		r.judge(v.at, Changed, "with %s alone, clients are refused while a server has an entry with weight 0: scheduler_flags: [fallback] is written", scheduler)
	}
}

// sorryWritten reports whether the virtual server has its sorry server in the cluster file.
func (v *service) sorryWritten() bool { return v.get("sorry_server") != nil }

// finishPersistence writes the persistence, which is nothing without its timeout.
func (r *reader) finishPersistence(v *service) {
	if v.persistence.get("timeout") != nil {
		v.persistence.sort("timeout", "netmask", "engine")
		r.set(v.object, "persistence", v.persistence, nil)
		return
	}
	for _, e := range v.persistence.entries {
		switch {
		case e.at == nil:
		case r.kind == Keepalived:
			r.judge(e.at, Refused, "write persistence with a timeout: there is no persistence_timeout")
		default:
			r.judge(e.at, NoEffect, "without persistence %s does not use it", r.kind)
		}
	}
}

// finishPackets writes that a virtual server with a firewall mark is for UDP if only UDP packets have what it asks for, and leaves
// that out if it is for another protocol.
func (r *reader) finishPackets(v *service) {
	settings := map[string]*object{"one_packet": v.object, "engine": {}}
	if v.get("persistence") != nil {
		settings["engine"] = v.persistence
	}
	for _, key := range []string{"one_packet", "engine"} {
		e := settings[key].get(key)
		switch {
		case e == nil || e.value.Value == "false" || v.text("protocol") == "udp":
		case v.get("fwmark") != nil:
			r.set(v.object, "protocol", "udp", nil)
			r.judge(e.at, Changed, "only UDP packets have it: so protocol: udp is written")
		default:
			r.judge(e.at, NoEffect, "it is for udp only")
			settings[key].remove(key)
		}
	}
	if v.get("persistence") != nil {
		r.set(v.object, "persistence", v.persistence, nil)
	}
}

// readEndpoint reads what is behind virtual_server, and returns a name for it.
func (r *reader) readEndpoint(v *service, s *conftree.Statement) (at string, ok bool) {
	switch s.Arg(1) {
	case "fwmark":
		n, err := strconv.ParseUint(s.Arg(2), 0, 32)
		if err != nil || n == 0 {
			return "", false
		}
		r.set(v.object, "fwmark", int(n), nil)
		r.set(v.object, "marking", "none", nil)
		v.many = true
		return "fwmark-" + s.Arg(2), true
	case "group":
		p := r.pools[s.Arg(2)]
		if p == nil {
			r.judge(s, Refused, "there is no virtual_server_group '%s' that can be used", s.Arg(2))
			return "", false
		}
		p.write(r, v)
		return s.Arg(2), true
	}
	addr, err := netip.ParseAddr(s.Arg(1))
	port, err2 := strconv.ParseUint(s.Arg(2), 10, 16)
	if err != nil || len(s.Words) > 3 || len(s.Words) == 3 && err2 != nil {
		return "", false
	}
	v.many = port == 0
	r.set(v.object, "address", addr.String(), nil)
	r.set(v.object, "port", int(port), nil)
	return strings.ReplaceAll(addr.String(), ":", ".") + "-" + strconv.Itoa(int(port)), true
}

// addressRange returns the addresses of 192.0.2.1-20, fd00::1-a or a single address.
func addressRange(text string) ([]string, bool) {
	first, last, ranged := strings.Cut(text, "-")
	addr, err := netip.ParseAddr(first)
	if err != nil {
		return nil, false
	}
	all := []string{addr.String()}
	if !ranged {
		return all, true
	}
	base, number := 10, first[strings.LastIndexByte(first, '.')+1:]
	if addr.Is6() {
		base, number = 16, first[strings.LastIndexByte(first, ':')+1:]
	}
	from, err1 := strconv.ParseUint(number, base, 16)
	to, err2 := strconv.ParseUint(last, base, 16)
	if err1 != nil || err2 != nil || to < from || to-from > 1023 || addr.BitLen() == 32 && to > 255 {
		return nil, false
	}
	for range to - from {
		addr = addr.Next()
		all = append(all, addr.String())
	}
	return all, true
}
