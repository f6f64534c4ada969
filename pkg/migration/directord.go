package migration

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// directord are the settings of a ldirectord.cf that are global, or of one of its virtual servers.
type directord struct {
	times     map[string]int // checktimeout and the like, as far as they are set
	timeAt    map[string]*conftree.Statement
	quiescent *conftree.Statement // as written; nil: the global one
	fallback  *conftree.Statement
	fallback6 *conftree.Statement // global only
	fork      bool
}

func newDirectord() *directord {
	return &directord{times: map[string]int{}, timeAt: map[string]*conftree.Statement{}}
}

func (d *directord) settings() *directord { return d }

// configured is what has settings of ldirectord.
type configured interface{ settings() *directord }

// sharedDirectives adds the directives that are global and in virtual servers.
func sharedDirectives[T configured](into words[T]) words[T] {
	for word, most := range map[string]int{"checktimeout": 3600, "negotiatetimeout": 3600, "checkinterval": 3600, "checkcount": 100, "failurecount": 100} {
		into[word] = func(r *reader, in T, s *conftree.Statement) {
			if n, ok := r.digits(s, 1, most); ok {
				d := in.settings()
				d.times[word], d.timeAt[word] = n, s
			}
		}
	}
	into["connecttimeout"] = refused[T]("ldirectord does not start with it: write negotiatetimeout")
	into["fallbackcommand"] = refused[T]("write notify: [{on: [quorum_up, quorum_down], command: [PROGRAM]}] in the virtual server")
	into["quiescent"] = func(r *reader, in T, s *conftree.Statement) {
		if _, ok := r.yes(s); ok {
			in.settings().quiescent = s
		}
	}
	into["cleanstop"] = func(r *reader, _ T, s *conftree.Statement) {
		if yes, ok := r.yes(s); ok && !yes {
			r.judge(s, Changed, "a stop hands over to another director, and then removes what is ours")
		}
	}
	for _, word := range []string{"emailalert", "emailalertfreq", "emailalertfrom", "emailalertstatus", "smtp"} {
		into[word] = refused[T](noMails)
	}
	return into
}

var globalDirectives = sharedDirectives(words[*directord]{
	"fallback":  globalFallback(false, func(d *directord) **conftree.Statement { return &d.fallback }),
	"fallback6": globalFallback(true, func(d *directord) **conftree.Statement { return &d.fallback6 }),
	"autoreload": func(r *reader, _ *directord, s *conftree.Statement) {
		if yes, ok := r.yes(s); ok && yes {
			r.judge(s, Changed, "a changed file is read when lvsctl reload says so, and only if it is valid")
		}
	},
	"callback": refused[*directord]("nothing runs when the file changes: copy it to all machines and run lvsctl reload there"),
	"logfile":  changed[*directord]("the daemons write to stderr, which is the journal under systemd"),
	"execute":  refused[*directord]("import that file, too, and put its virtual_servers into the cluster file"),
	"supervised": func(r *reader, _ *directord, s *conftree.Statement) {
		if s.Arg(1) != "" {
			r.yes(s)
		}
		r.judge(s, Translated, "the daemons stay in the foreground, always")
	},
	"fork": func(r *reader, d *directord, s *conftree.Statement) {
		if yes, ok := r.yes(s); ok {
			d.fork = yes
			r.judge(s, Translated, "checks do not wait for each other, always")
		}
	},
	"readdquiescent": func(r *reader, _ *directord, s *conftree.Statement) {
		if yes, ok := r.yes(s); ok && !yes {
			r.judge(s, Changed, "what somebody has removed from the table by hand is put back")
		}
	},
	"maintenancedir": readMaintenance,
	"timeout":        refused[*directord]("ldirectord does not start with it: write checktimeout and negotiatetimeout"),
})

func globalFallback(six bool, in func(*directord) **conftree.Statement) handler[*directord] {
	return func(r *reader, d *directord, s *conftree.Statement) {
		if before := *in(d); before != nil {
			r.judge(before, NoEffect, "line %d replaces it", s.At().Line)
		}
		if *in(d) = nil; r.fallbackFamily(s, six) {
			*in(d) = s
		}
	}
}

// fallbackFamily refuses a fallback of the other address family.
func (r *reader) fallbackFamily(s *conftree.Statement, six bool) bool {
	at, ok := r.addrPort(s, s.Arg(1), 0)
	if ok && at.Addr().Is6() != six {
		r.judge(s, Refused, "ldirectord does not start: fallback is an IPv4 address, fallback6 an IPv6 address, and virtual servers have one of their own family")
		return false
	}
	return ok
}

func readMaintenance(r *reader, _ *directord, s *conftree.Statement) {
	dir := strings.Join(s.Args(), " ")
	if !strings.HasPrefix(dir, "/") {
		r.judge(s, Refused, "maintenance_dir is an absolute path")
		return
	}
	r.maintenance, r.maintenanceAt = path.Clean(dir), s
	r.judge(s, Changed, "a file in it drains the real servers with its name, address, or address and port; connections go on, and names are not looked up in the DNS")
}

// yes reads the first argument as yes or no.
func (r *reader) yes(s *conftree.Statement) (value, ok bool) {
	switch s.Arg(1) {
	case "yes", "no":
		r.surplus(s, 2)
		return s.Arg(1) == "yes", true
	}
	r.judge(s, Refused, "'%s' is not yes or no, and ldirectord does not start", s.Arg(1))
	return false, false
}

// digits reads the first number in a value, as ldirectord does: 3s is 3.
func (r *reader) digits(s *conftree.Statement, low, high int) (int, bool) {
	text := strings.Join(s.Args(), " ")
	begin := strings.IndexAny(text, "0123456789")
	if begin < 0 {
		r.judge(s, Refused, "a number is missing")
		return 0, false
	}
	number := text[begin:]
	if end := strings.IndexFunc(number, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
		number = number[:end]
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < low || n > high {
		r.judge(s, Refused, "%s is out of range here: %d to %d", number, low, high)
		return 0, false
	}
	if number != text {
		r.judge(s, Changed, "ldirectord takes the number %s of it", number)
	}
	return n, true
}

// readDirectord reads a ldirectord.cf: its global directives first, which are also for the virtual servers before them.
func (r *reader) readDirectord(tree *conftree.Tree) {
	global := newDirectord()
	for _, s := range tree.Statements {
		if s.IsBlock {
			continue
		}
		if read := globalDirectives[s.Keyword()]; read != nil {
			read(r, global, s)
			r.rest(s)
			continue
		}
		known := maps.Clone(globalDirectives)
		known["virtual"], known["virtual6"] = nil, nil
		r.foreign(s, maps.Keys(known), nil)
	}
	used := false
	for _, s := range tree.Statements {
		if s.IsBlock {
			r.readVirtual(global, s)
			used = true
		}
	}
	for _, s := range []*conftree.Statement{global.fallback, global.fallback6} {
		if s != nil && r.verdicts[s].verdict <= Translated {
			r.judge(s, NoEffect, "no virtual server uses it")
		}
	}
	if used && global.quiescent == nil {
		r.says("whether ldirectord leaves real servers that are down in the table with weight 0: quiescent is yes in its manual, no in newer code; on_failure: drain does so")
	}
}

// fallbackOf writes the sorry server, which is the virtual server's own or the global one of its address family.
func (r *reader) fallbackOf(v *virtual, global *directord) {
	s := v.own.fallback
	switch {
	case s != nil:
	case v.ipv6:
		s = global.fallback6
	default:
		s = global.fallback
	}
	if s == nil {
		return
	}
	at, ok := r.addrPort(s, s.Arg(1), 0)
	if !ok {
		return
	}
	forward, ok := "dr", true
	if s.Arg(2) != "" {
		forward, ok = r.gate(s, s.Arg(2))
	}
	if !ok {
		return
	}
	v.sorry, v.sorryShared = &object{at: s}, v.own.fallback == nil
	if forward != v.text("forward") {
		r.set(v.sorry, "forward", forward, nil)
	}
	r.set(v.sorry, "address", at.Addr().String(), nil)
	if at.Port() != 0 {
		r.set(v.sorry, "port", int(at.Port()), nil)
	}
	v.sorry.sort("address", "port", "forward")
}

// gate reads a forwarding method.
func (r *reader) gate(s *conftree.Statement, word string) (forward string, ok bool) {
	methods := map[string]string{"gate": "dr", "masq": "nat", "ipip": "tun"}
	if forward = methods[word]; forward != "" {
		return forward, true
	}
	r.judge(s, Refused, "'%s' is no method: gate, masq or ipip%s", word, didYouMean(word, []string{"gate", "masq", "ipip"}))
	return "", false
}

// rangeSize returns how many addresses FIRST->LAST has, at most maxServers.
func rangeSize(first, last netip.Addr) (int, bool) {
	a, b := first.As16(), last.As16()
	from, to := binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])
	if first.BitLen() != last.BitLen() || !slices.Equal(a[:8], b[:8]) || to < from || to-from >= maxServers {
		return 0, false
	}
	return int(to-from) + 1, true
}
