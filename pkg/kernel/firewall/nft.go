package firewall

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// statement is one object of the output of nft -j, or one statement of a rule; see libnftables-json(5).
type statement map[string]json.RawMessage

// parseNFT returns the base chains for packets of a family ("ip" or "ip6") in the output of `nft -j list
// ruleset`, without the tables for which skip returns true.
func parseNFT(text []byte, family string, skip func(family, table string) bool) ([]*Chain, error) {
	var document struct {
		NFTables []statement `json:"nftables"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("the output of nft -j list ruleset: %w", err)
	}
	var bases []*Chain
	tables, sets := map[string]map[string]*Chain{}, setsOf(document.NFTables)
	for _, object := range document.NFTables {
		var c struct {
			Family, Table, Name, Type, Hook, Policy, Chain string
			Dev                                            json.RawMessage // a string or a list
			Expr                                           []statement
		}
		raw, isChain := object["chain"]
		if !isChain {
			if raw = object["rule"]; raw == nil {
				continue
			}
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, fmt.Errorf("the output of nft -j list ruleset: %w", err)
		}
		if c.Family != family && c.Family != "inet" && c.Family != "netdev" || skip(c.Family, c.Table) {
			continue
		}
		table := c.Family + " " + c.Table
		if tables[table] == nil {
			tables[table] = map[string]*Chain{}
		}
		if !isChain {
			if chain := tables[table][c.Chain]; chain != nil {
				chain.rules = append(chain.rules, parseExpressions(sets.fill(table, c.Expr))...)
			}
			continue
		}
		chain := &Chain{Tool: "nft", Table: table, Name: c.Name, hook: c.Hook, nat: c.Type == "nat", others: tables[table]}
		tables[table][c.Name] = chain
		if c.Hook != "" {
			if chain.Policy = Accept; c.Policy == "drop" {
				chain.Policy = Drop
			}
			bases = append(bases, chain)
			chain.devices, _ = valuesOf(c.Dev)
		}
	}
	return bases, nil
}

// inert are statements that mean nothing for the way of a packet.
var inert = []string{"counter", "log", "comment", "ct helper", "ct timeout", "set"}

// parseExpressions returns the rules that a rule of nft consists of: a verdict map is one for each of its elements.
func parseExpressions(all []statement) []rule {
	r := rule{text: shown(all)}
	for n, s := range all {
		for kind, body := range s {
			switch {
			case kind == "match":
				r.matches = append(r.matches, nftMatch(body))
			case nftRate(kind, body) != nil:
				r.rate = nftRate(kind, body)
			case slices.Contains([]string{"limit", "ct count", "quota"}, kind): // a named one, or an amount since the start
				r.matches = append(r.matches, always(maybe))
			case kind == "notrack":
				r.untracks = true
			case kind == "mangle":
				if m := nftMark(body); m != nil {
					r.mark = m
				}
			case slices.Contains(inert, kind):
			case kind == "vmap":
				return append(verdictMap(r, body), parseExpressions(all[n+1:])...)
			default:
				if action, target, known := verdict(kind, body); known {
					r.action, r.target = action, target
				} else {
					r.action = unknown
				}
				return []rule{r}
			}
		}
	}
	return []rule{r}
}

// shown returns a rule as text for an error message.
func shown(all []statement) string {
	var parts []string
	for _, s := range all {
		if s["counter"] != nil {
			continue
		}
		text, _ := json.Marshal(s) // a map of valid JSON
		parts = append(parts, string(text))
	}
	return strings.Join(parts, " ")
}

func verdict(kind string, body json.RawMessage) (action Action, target string, known bool) {
	switch kind {
	case "accept":
		return Accept, "", true
	case "drop", "reject":
		return Drop, "", true
	case "return":
		return returns, "", true
	case "dnat", "redirect", "tproxy":
		return redirect, "", true
	case "snat", "masquerade":
		return Accept, "", true
	case "continue":
		return nothing, "", true
	case "jump", "goto":
		var to struct{ Target string }
		if json.Unmarshal(body, &to) != nil {
			return unknown, "", true
		}
		if kind == "goto" {
			return goes, to.Target, true
		}
		return jump, to.Target, true
	}
	return unknown, "", false
}

// verdictMap returns a rule for each element of a verdict map: {"key": …, "data": {"set": [[key, verdict], …]}}.
func verdictMap(r rule, body json.RawMessage) []rule {
	opaque := rule{text: r.text, matches: r.matches, rate: r.rate, action: unknown}
	var m struct {
		Key  json.RawMessage
		Data struct{ Set [][2]json.RawMessage }
	}
	if json.Unmarshal(body, &m) != nil || m.Data.Set == nil {
		return []rule{opaque}
	}
	var rules []rule
	for _, element := range m.Data.Set {
		one := rule{text: r.text, rate: r.rate, matches: append(slices.Clone(r.matches), compare(m.Key, element[0]))}
		var does statement
		if json.Unmarshal(element[1], &does) != nil || len(does) != 1 {
			return []rule{opaque}
		}
		for kind, body := range does {
			one.action, one.target, _ = verdict(kind, body)
		}
		rules = append(rules, one)
	}
	return rules
}

func nftMatch(body json.RawMessage) match {
	var m struct {
		Op          string
		Left, Right json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil {
		return always(maybe)
	}
	if of, ok := nftFlags(m.Op, m.Left, m.Right); ok {
		return of
	}
	switch m.Op {
	case "==", "in":
		return compare(m.Left, m.Right)
	case "!=":
		return not(compare(m.Left, m.Right))
	default:
		return always(maybe)
	}
}

// compare returns the match of a property of the packet with a value, a list, a set, a range or a prefix.
func compare(left, right json.RawMessage) match {
	var l struct {
		Meta, Ct struct{ Key string }
		Payload  struct{ Protocol, Field string }
		Fib      struct {
			Result string
			Flags  []string
		}
	}
	if json.Unmarshal(left, &l) != nil {
		return always(maybe)
	}
	values, ok := valuesOf(right)
	switch {
	case ok:
	case l.Payload.Field == "saddr": // a set that changes
		return ofClient
	default:
		return always(maybe)
	}
	if slices.Contains([]string{"icmp", "icmpv6", "igmp", "esp", "ah", "udplite", "dccp", "arp", "vlan"}, l.Payload.Protocol) {
		return always(no)
	}
	switch {
	case l.Meta.Key == "iifname" || l.Meta.Key == "iif":
		return anyOf(values, func(v string) match { return iface(incoming, v, "*") })
	case l.Meta.Key == "oifname" || l.Meta.Key == "oif":
		return anyOf(values, func(v string) match { return iface(outgoing, v, "*") })
	case l.Meta.Key == "l4proto", l.Payload.Field == "protocol" && l.Payload.Protocol == "ip", l.Payload.Field == "nexthdr":
		return protocol(values...)
	case l.Meta.Key == "nfproto":
		return func(p Packet) applies {
			return when(slices.Contains(values, map[bool]string{false: "ipv4", true: "ipv6"}[p.is6()]))
		}
	case l.Fib.Result == "type" && len(l.Fib.Flags) == 1:
		return addressType(l.Fib.Flags[0], values)
	case l.Ct.Key == "state":
		return state(values...)
	case l.Ct.Key == "status": // no connection of IPVS is one that a rule has redirected
		return always(when(!slices.Contains(values, "dnat") && !slices.Contains(values, "snat")).or(maybe))
	case l.Payload.Field == "saddr" || l.Payload.Field == "daddr":
		return addresses(l.Payload.Protocol, l.Payload.Field, values)
	case l.Payload.Field == "sport" || l.Payload.Field == "dport":
		return portNumbers(l.Payload.Protocol, l.Payload.Field, values)
	default:
		return always(maybe)
	}
}

// or turns a certain yes into less.
func (a applies) or(b applies) applies {
	if a == yes {
		return b
	}
	return a
}

func anyOf(values []string, each func(string) match) match {
	return func(p Packet) applies {
		result := no
		for _, v := range values {
			result = max(result, each(v)(p))
		}
		return result
	}
}

func addresses(family, field string, values []string) match {
	of := source
	if field == "daddr" {
		of = destination
	}
	m := addressOf(of, values)
	return func(p Packet) applies { // ip or ip6 implies the family
		return min(when((family == "ip6") == p.is6()), m(p))
	}
}

func portNumbers(of, field string, values []string) match {
	at := source
	if field == "dport" {
		at = destination
	}
	m := portOf(at, values)
	return func(p Packet) applies { return min(when(of == "th" || of == p.Protocol), m(p)) }
}

// valuesOf returns the values of the right side; ok is false for a named set and other expressions.
func valuesOf(raw json.RawMessage) (values []string, ok bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil, false
	}
	return flatten(v)
}

func flatten(v any) (values []string, ok bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, !strings.HasPrefix(v, "@")
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}, true
	case []any:
		for _, element := range v {
			more, ok := flatten(element)
			if !ok {
				return nil, false
			}
			values = append(values, more...)
		}
		return values, true
	case map[string]any:
		return flattenObject(v)
	}
	return nil, false
}

func flattenObject(v map[string]any) (values []string, ok bool) {
	if set, is := v["set"]; is {
		return flatten(set)
	}
	if element, is := v["elem"].(map[string]any); is { // with a counter or a comment
		return flatten(element["val"])
	}
	if prefix, is := v["prefix"].(map[string]any); is {
		return []string{fmt.Sprintf("%v/%v", prefix["addr"], prefix["len"])}, true
	}
	if bounds, is := v["range"].([]any); is && len(bounds) == 2 {
		low, okLow := flatten(bounds[0])
		high, okHigh := flatten(bounds[1])
		if okLow && okHigh && len(low) == 1 && len(high) == 1 && !strings.ContainsAny(low[0], ".:") {
			return []string{low[0] + "-" + high[0]}, true
		}
	}
	return nil, false
}
