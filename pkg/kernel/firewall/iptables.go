package firewall

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// builtin are the chains of iptables that are called by a hook, with its name.
var builtin = map[string]string{"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output"}

// harmless are the targets after which a packet goes on to the next rule.
var harmless = []string{
	"LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "CLASSIFY", "DSCP", "TOS", "TTL", "HL", "ECN", "CHECKSUM", "CONNSECMARK", "SECMARK", "AUDIT", "TRACE", "SET", "ACCOUNT", "RATEEST", "IDLETIMER", "LED", "CT", "NOTRACK",
}

// parseSave returns the base chains in the output of iptables-save, and the names of all its tables.
func parseSave(tool, text string) (bases []*Chain, tables []string, err error) {
	table, chains := "", map[string]*Chain{}
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line[0] == '*':
			table, chains = line[1:], map[string]*Chain{}
			tables = append(tables, table)
		case line == "COMMIT":
			for _, name := range slices.Sorted(maps.Keys(builtin)) {
				if base := chains[name]; base != nil {
					bases = append(bases, base)
				}
			}
		case line[0] == ':':
			name, policy, _ := strings.Cut(line[1:], " ")
			c := &Chain{Tool: tool, Table: table, Name: name, hook: builtin[name], nat: table == "nat", others: chains}
			switch {
			case strings.HasPrefix(policy, "ACCEPT"):
				c.Policy = Accept
			case strings.HasPrefix(policy, "DROP"):
				c.Policy = Drop
			}
			chains[name] = c
		default:
			words, ok := split(line)
			at := slices.Index(words, "-A")
			if !ok || at < 0 || at+1 >= len(words) || chains[words[at+1]] == nil {
				return nil, nil, fmt.Errorf("line %d of the output of %s-save is not understood: %s", number+1, tool, line)
			}
			c := chains[words[at+1]]
			c.rules = append(c.rules, parseRule(line, words[at+2:]))
		}
	}
	return bases, tables, nil
}

// split splits a line into words, which may be quoted.
func split(line string) (words []string, ok bool) {
	var word strings.Builder
	inside, started := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && inside && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == '"':
			inside, started = !inside, true
		case c == ' ' && !inside:
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteByte(c)
			started = true
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words, !inside
}

// parseRule parses the words of a rule after its chain.
func parseRule(text string, words []string) rule {
	r := rule{text: text, action: nothing}
	var list recent
	for len(words) > 0 {
		negated := words[0] == "!"
		if negated {
			words = words[1:]
			if len(words) == 0 {
				break
			}
		}
		option := words[0]
		words = words[1:]
		n := slices.IndexFunc(words, func(w string) bool { return w == "!" || strings.HasPrefix(w, "-") && len(w) > 1 })
		if n < 0 {
			n = len(words)
		}
		arguments := words[:n]
		words = words[n:]
		if option == "-j" || option == "-g" {
			r.act(option, strings.Join(arguments, " "))
			r.untracks = r.target == "NOTRACK" || r.target == "CT" && slices.Contains(words, "--notrack")
			r.mark = markOf(strings.Join(arguments, " "), words)
			list.apply(&r)
			return r // the rest are options of the target
		}
		if counts := rateOf(option, negated, arguments); counts != nil {
			r.rate = counts
			continue
		}
		if rateDetails(option) || list.take(option, negated, arguments) {
			continue
		}
		m := condition(option, arguments)
		if m == nil {
			continue
		}
		if negated {
			m = not(m)
		}
		r.matches = append(r.matches, m)
	}
	return r
}

func (r *rule) act(option, target string) {
	r.target = target
	switch {
	case option == "-g":
		r.action = goes
	case target == "ACCEPT":
		r.action = Accept
	case target == "DROP", target == "REJECT":
		r.action = Drop
	case target == "DNAT", target == "REDIRECT", target == "TPROXY", target == "NETMAP":
		r.action = redirect
	case target == "RETURN":
		r.action = returns
	case slices.Contains(harmless, target):
		r.action = nothing
	default: // a chain, or an extension, which is no chain of the table
		r.action = jump
	}
}

// understood are the matching extensions whose options are all understood, or, for comment, mean nothing.
var understood = []string{
	"comment", "conntrack", "state", "tcp", "udp", "sctp", "multiport", "addrtype", "limit", "hashlimit", "connlimit", "recent", "set", "iprange", "mac", "geoip",
}

// condition returns the match of an option; nil if it means nothing.
func condition(option string, arguments []string) match {
	value := strings.Join(arguments, " ")
	list := strings.Split(value, ",")
	switch option {
	case "-m":
		if slices.Contains(understood, value) {
			return nil
		}
		return always(maybe)
	case "--comment":
		return nil
	case "-i":
		return iface(incoming, value, "+")
	case "-o":
		return iface(outgoing, value, "+")
	case "-p":
		return protocol(value)
	case "-s":
		return addressOf(source, list)
	case "-d":
		return addressOf(destination, list)
	case "--sport", "--sports":
		return portOf(source, list)
	case "--dport", "--dports":
		return portOf(destination, list)
	case "--state", "--ctstate":
		return state(list...)
	case "--src-type":
		return addressType("saddr", list)
	case "--dst-type":
		return addressType("daddr", list)
	case "--ctstatus": // no connection of IPVS is one that a rule has redirected
		return always(when(!slices.Contains(list, "DNAT") && !slices.Contains(list, "SNAT")).or(maybe))
	case "--tcp-flags":
		return saveFlags(arguments)
	case "--match-set":
		if len(arguments) == 2 && arguments[1] == "src" {
			return ofClient
		}
		return always(maybe)
	case "--src-range", "--mac-source", "--source-country", "--src-cc":
		return ofClient
	default:
		return always(maybe)
	}
}

func addressOf(of end, list []string) match {
	var prefixes []netip.Prefix
	for _, text := range list {
		p, ok := prefixOf(text)
		if !ok {
			return always(maybe)
		}
		prefixes = append(prefixes, p)
	}
	return addressIn(of, prefixes...)
}

func portOf(of end, list []string) match {
	var ranges []ports
	for _, text := range list {
		r, ok := portsOf(text)
		if !ok {
			return always(maybe)
		}
		ranges = append(ranges, r)
	}
	return portIn(of, ranges...)
}

// ParseSave returns the rules in the output of iptables-save. tool is iptables or iptables-legacy, for messages.
func ParseSave(tool, text string) (Rules, error) {
	bases, _, err := parseSave(tool, text)
	return Rules{bases}, err
}
