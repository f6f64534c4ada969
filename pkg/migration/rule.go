package migration

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// tables are the names of /etc/iproute2/rt_tables that every machine has.
var tables = map[string]int{"default": 253, "main": 254, "local": 255}

// routingTable reads a number or one of these names.
func routingTable(text string) (int, bool) {
	if n, named := tables[text]; named {
		return n, true
	}
	n, err := strconv.ParseUint(text, 0, 32)
	return int(n), err == nil && n > 0
}

// lowestPriority is that of the first rule without one in keepalived; each further one has one less.
const lowestPriority = 16384

// ruleWords are the words of a virtual rule, and the keys that they are.
var ruleWords = map[string]string{
	"from": "from", "src": "from", "to": "to", "dst": "to", "table": "table", "lookup": "table", "priority": "priority", "preference": "priority",
	"pref": "priority", "order": "priority", "fwmark": "fwmark", "iif": "iif", "dev": "iif", "oif": "oif",
}

// readRules reads virtual_rules: [from ADDRESS] [to ADDRESS] [table N] [priority N] [fwmark N] [iif INTERFACE] [oif INTERFACE].
func (r *reader) readRules(i *instance, s *conftree.Statement) {
	var rules []*object
	for _, line := range s.Block {
		o, fault := &object{}, ""
		for n := 0; n < len(line.Words); n++ {
			word := line.Arg(n)
			key := ruleWords[word]
			switch {
			case word == "no_track":
				r.judge(line, Changed, "a rule that somebody removes is added again")
			case key == "":
				fault = "'" + word + "' of a rule is not supported"
			default:
				n++
				if f := r.ruleValue(o, key, line.Arg(n)); f != "" {
					fault = f
				}
			}
		}
		selects := slices.ContainsFunc(o.entries, func(e entry) bool { return e.key != "table" && e.key != "priority" })
		switch {
		case fault != "":
		case !selects:
			fault = "it has no from, to, fwmark, iif or oif"
		case o.get("table") == nil:
			fault = "it has no table"
		}
		if fault != "" {
			r.judgeAll(line, Refused, "%s: write rules: [{from: …, table: …, priority: …}]", fault)
			continue
		}
		if o.get("priority") == nil {
			r.set(o, "priority", lowestPriority-r.rulesWithout, nil)
			r.rulesWithout++
			r.judge(line, Changed, "it has no priority, and keepalived chooses one as well: %s is written", o.text("priority"))
		}
		o.sort("priority", "from", "to", "fwmark", "iif", "oif", "table")
		rules = append(rules, o)
		r.rest(line)
	}
	if len(rules) > 0 {
		r.set(i.object, "rules", rules, s)
	}
}

// ruleValue writes a key of a rule, and returns what is wrong with it.
func (r *reader) ruleValue(o *object, key, value string) string {
	switch key {
	case "table":
		n, ok := routingTable(value)
		if !ok {
			return "'" + value + "' is no number of a routing table"
		}
		r.set(o, key, n, nil)
	case "priority", "fwmark":
		n, err := strconv.ParseUint(value, 0, 32)
		if most := map[string]uint64{"priority": 32765, "fwmark": 1<<32 - 1}[key]; err != nil || n < 1 || n > most {
			return "'" + value + "' is no " + key + " from 1 to " + strconv.FormatUint(most, 10)
		}
		r.set(o, key, int(n), nil)
	case "from", "to":
		if value == "all" || value == "any" || value == "default" {
			return ""
		}
		if _, err := netip.ParseAddr(value); err == nil {
			r.set(o, key, value, nil)
			return ""
		}
		p, err := netip.ParsePrefix(value)
		if err != nil {
			return "'" + value + "' is no address and no network"
		}
		r.set(o, key, p.Masked().String(), nil)
	default:
		if value == "" || strings.Contains(value, "/") {
			return "'" + value + "' is no interface"
		}
		r.set(o, key, value, nil)
	}
	return ""
}
