package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Way is the way of a packet through this host.
type Way int

const (
	// Forwarded: it is not for this host and not from it.
	Forwarded Way = iota
	// Incoming: it is for a process of this host, or for IPVS, which takes packets from the chain INPUT.
	Incoming
	// Outgoing: a process of this host sends it.
	Outgoing
)

// Packet is a packet of which one end may be any client.
type Packet struct {
	Way     Way
	In, Out string // interfaces; "": not known, or none
	// From and To are its source and destination. The zero address is that of a client, port 0 an ephemeral one.
	From, To netip.AddrPort
	Protocol string // "tcp", "udp", "sctp", "ipip", "ipv6" and "gre" (tunnels) or "vrrp"
	// Tracked: connection tracking knows its connection, so that it is ESTABLISHED. Otherwise an outgoing or incoming packet
	// is NEW, and of forwarded TCP packets, answers of which the SYN was not seen, the first is INVALID and later ones are
	// NEW.
	Tracked bool
	// Later is the state of the packets after the first one of an incoming connection: "" is ESTABLISHED. Connection tracking
	// forgets those that IPVS takes: they are NEW again, or INVALID if it sees one direction only and remembers it, or does
	// not take up connections in the middle.
	Later string
	// Untracked: it is exempt from connection tracking, as the packets that IPVS sends without net.ipv4.vs.conntrack.
	Untracked bool

	state string
	first bool // of its connection
	ends  bool // it has FIN or RST
	above bool // there were so many before it that every rate is exceeded
}

// Outcome is the result of a judgement.
type Outcome int

const (
	// Passes: every chain accepts it, at least for some clients.
	Passes Outcome = iota
	// Limited: it passes, unless there are more than a rule permits in some time, or at a time.
	Limited
	// Unclear: it depends on something that the rules do not say.
	Unclear
	// Blocked: it is dropped or rejected, for every client if one end is a client. So is a connection of which a rule counts
	// all packets, and lets through less than one in a second.
	Blocked
)

// Verdict is an outcome with its reason.
type Verdict struct {
	Outcome Outcome
	Why     string // the rule or policy that blocks it or is unclear; "" if it passes
	At      *Chain // the base chain of that rule; nil if it passes
}

// Rules are the base chains of a host.
type Rules struct {
	Bases []*Chain
}

// Chain is a chain of rules.
type Chain struct {
	Tool   string // "iptables", "iptables-legacy" or "nft", which shows it
	Table  string // "filter", or with nft "inet firewalld"
	Name   string
	Policy Action // of a base chain
	hook   string // of a base chain: "ingress", "prerouting", "input", "forward" or "output"
	nat    bool   // it translates addresses
	// devices are those of the hook ingress; none: every one.
	devices []string
	rules   []rule
	others  map[string]*Chain // of the same table, by name
}

// Action is what a rule does with a packet.
type Action int

const (
	nothing Action = iota
	// Accept and Drop end the way through a base chain; a reject is a drop.
	Accept
	Drop
	returns
	jump     // to another chain
	goes     // to another chain, without return
	redirect // to another address or socket of this host or behind it
	unknown  // an extension that may do anything
)

// rule is one rule. matches and the rate are conditions, all of which must apply.
type rule struct {
	text    string
	matches []match
	rate    *rate // nil: none
	action  Action
	target  string // of jump and goes
	// untracks: it exempts the packet from connection tracking.
	untracks bool
	mark     *markSetting // nil: it leaves the firewall mark as it is
}

// match decides whether a condition applies to a packet.
type match func(Packet) applies

// applies is the result of a condition.
type applies int

const (
	no      applies = iota
	maybe           // it is not known
	forSome         // it depends on the client's address or on an ephemeral port
	yes
)

// hooks are those through which a packet passes, in this order. In the hook postrouting nothing is filtered.
var hooks = map[Way][]string{
	Forwarded: {"ingress", "prerouting", "forward"},
	Incoming:  {"ingress", "prerouting", "input"},
	Outgoing:  {"output"},
}

// passes reports whether a packet passes through a base chain.
func (c *Chain) passes(p Packet) bool {
	return slices.Contains(hooks[p.Way], c.hook) && (len(c.devices) == 0 || slices.Contains(c.devices, p.In))
}

// Judge judges a packet. What depends on the client is decided in favor of the packet: a rule that drops the packets of
// some clients leaves others, and one that accepts some serves them.
func (r Rules) Judge(p Packet) Verdict {
	stages := p.stages()
	worst, untracked := r.judge(p, stages)
	if untracked {
		stages = []stage{{"UNTRACKED", p.Way != Forwarded}, {"UNTRACKED", false}}
		worst, _ = r.judge(p, stages)
	}
	if worst.Outcome == Passes {
		return r.limited(p, stages)
	}
	return worst
}

// Ends judges the packets with which a client ends a TCP connection that IPVS has taken. Connection tracking, which has forgotten
// the connection (Later is NEW), takes up none with FIN or RST: they are INVALID (tcp_conntracks in
// net/netfilter/nf_conntrack_proto_tcp.c). For other packets there is nothing to judge, and the result is Passes.
func (r Rules) Ends(p Packet) Verdict {
	if p.Way != Incoming || p.Protocol != "tcp" || p.Later != "NEW" {
		return Verdict{}
	}
	p.ends = true
	worst, untracked := r.judge(p, []stage{{"INVALID", false}})
	if untracked {
		worst, _ = r.judge(p, []stage{{"UNTRACKED", false}})
	}
	return worst
}

// Exempts reports whether a rule exempts an incoming packet from connection tracking.
func (r Rules) Exempts(p Packet) bool {
	_, exempt := r.judge(p, []stage{{"NEW", true}})
	return exempt
}

// limited judges a packet that passes below every rate.
func (r Rules) limited(p Packet, stages []stage) Verdict {
	p.above = true
	worst := Verdict{}
	for _, s := range stages {
		var by limit
		now, _ := r.judgeStage(p, s, &by)
		if now.Outcome == Passes || by.why == "" {
			continue
		}
		now.Why, now.Outcome = by.why, Limited
		if !s.first && by.perSecond < tooSlow {
			now.Outcome = Blocked
		}
		if now.Outcome > worst.Outcome {
			worst = now
		}
	}
	return worst
}

// stage is a part of a connection: the state of a packet in connection tracking, and whether it is the first one.
type stage struct {
	state string
	first bool
}

func (p Packet) stages() []stage {
	switch {
	case p.Untracked:
		return []stage{{"UNTRACKED", false}}
	case p.Tracked:
		return []stage{{"ESTABLISHED", false}}
	case p.Way == Forwarded && p.Protocol == "tcp":
		return []stage{{"INVALID", false}, {"NEW", false}}
	case p.Way == Incoming:
		return []stage{{"NEW", true}, {cmp.Or(p.Later, "ESTABLISHED"), false}}
	default:
		return []stage{{"NEW", p.Way == Outgoing}}
	}
}

// judge judges the packets of a connection. untracked: a rule exempts one from connection tracking.
func (r Rules) judge(p Packet, stages []stage) (worst Verdict, untracked bool) {
	for _, s := range stages {
		now, exempt := r.judgeStage(p, s, new(limit))
		untracked = untracked || exempt
		if now.Outcome > worst.Outcome {
			worst = now
		}
	}
	return worst, untracked
}

// judgeStage judges the packets of one stage of a connection, and notes the rates that concern them.
func (r Rules) judgeStage(p Packet, s stage, by *limit) (worst Verdict, untracked bool) {
	p.state, p.first = s.state, s.first
	way := walk{packet: p, known: map[*Chain]*result{}, untracked: &untracked, limit: by}
	for _, base := range r.Bases {
		if base.nat || !base.passes(p) {
			continue
		}
		ends, why := way.through(base)
		now := Verdict{Outcome: Blocked, Why: why, At: base}
		switch {
		case !ends.drops:
			continue
		case ends.accepts:
			now.Outcome = Unclear
		}
		if now.Outcome > worst.Outcome {
			worst = now
		}
	}
	return worst, untracked
}

// Redirected judges whether rules send a new incoming packet to another address or socket than its destination: DNAT,
// REDIRECT and TPROXY. It is Blocked if they do, at least for some clients, and Passes if they do not.
func (r Rules) Redirected(p Packet) Verdict {
	p.state, p.first = "NEW", true
	worst := Verdict{}
	way := walk{packet: p, known: map[*Chain]*result{}, redirects: true, untracked: new(bool), limit: new(limit)}
	for _, base := range r.Bases {
		if base.hook != "prerouting" || !base.passes(p) {
			continue
		}
		ends, why := way.through(base)
		now := Verdict{Outcome: Blocked, Why: why, At: base}
		switch {
		case !ends.redirects:
			continue
		case ends.accepts || ends.drops:
			now.Outcome = Unclear
		}
		if now.Outcome > worst.Outcome {
			worst = now
		}
	}
	return worst
}

// ends are the ways in which a packet may leave a chain.
type ends struct{ accepts, drops, returns, redirects bool }

func (e ends) and(b ends) ends {
	return ends{e.accepts || b.accepts, e.drops || b.drops, e.returns || b.returns, e.redirects || b.redirects}
}

// walk is the way of one packet. Each chain is walked once, however many rules jump to it.
type walk struct {
	packet Packet
	known  map[*Chain]*result
	// redirects: the question is whether the packet is redirected, not whether it is dropped.
	redirects bool
	untracked *bool // set if a rule exempts the packet from connection tracking
	limit     *limit
}

// answers reports whether ends are the answer to the question, which a reason explains.
func (w walk) answers(e ends) bool {
	if w.redirects {
		return e.redirects
	}
	return e.drops
}

// some returns how a rule for some clients applies: in favor of the packet.
func (w walk) some(e ends) applies {
	switch {
	case w.redirects && e.redirects, !w.redirects && !e.drops:
		return yes
	case w.redirects, !e.accepts: // other clients remain
		return no
	default:
		return maybe
	}
}

type result struct {
	ends
	why string
}

// through returns how a packet may leave the chain, and the first rule or policy that may drop it. A chain that jumps to
// itself, which the kernel refuses, is unclear.
func (w walk) through(c *Chain) (ends, string) {
	if r, done := w.known[c]; done {
		return r.ends, r.why
	}
	r := &result{ends{accepts: true, drops: true, redirects: true}, c.describe("a loop")}
	w.known[c] = r
	r.ends, r.why = w.rules(c)
	return r.ends, r.why
}

func (w walk) rules(c *Chain) (all ends, why string) {
	for _, r := range c.rules {
		hit := r.applies(w.packet)
		if hit == no {
			continue
		}
		*w.untracked = *w.untracked || r.untracks
		if r.action == nothing {
			continue
		}
		if r.rate != nil {
			w.limit.note(c, r)
		}
		if !r.rate.holds(w.packet.above) {
			continue
		}
		end, reason := w.follow(c, r)
		if hit == forSome {
			if hit = w.some(end); hit == no {
				continue
			}
		}
		if why == "" && w.answers(end) {
			why = reason
		}
		falls := end.returns && r.action != returns && r.action != goes
		if falls {
			end.returns = false
		}
		all = all.and(end)
		if hit == yes && !falls {
			return all, why
		}
	}
	last := ends{returns: true}
	switch c.Policy {
	case Accept:
		last = ends{accepts: true}
	case Drop:
		last = ends{drops: true}
		if why == "" {
			why = c.describe("policy DROP")
		}
	}
	return all.and(last), why
}

// follow returns how a packet may end that matches a rule.
func (w walk) follow(c *Chain, r rule) (ends, string) {
	text := c.describe(r.text)
	switch r.action {
	case Accept:
		return ends{accepts: true}, text
	case Drop:
		return ends{drops: true}, text
	case redirect:
		return ends{accepts: !w.redirects, redirects: true}, text
	case returns:
		// In a base chain the policy applies.
		if c.Policy != nothing {
			return ends{accepts: c.Policy == Accept, drops: c.Policy == Drop}, c.describe("policy DROP")
		}
		return ends{returns: true}, text
	case jump, goes:
		if to, known := c.others[r.target]; known {
			end, why := w.through(to)
			if r.action == goes && end.returns && c.Policy != nothing {
				end = ends{end.accepts || c.Policy == Accept, end.drops || c.Policy == Drop, false, end.redirects}
				why = cmp.Or(why, c.describe("policy DROP"))
			}
			return end, why
		}
	}
	return ends{true, true, true, true}, text
}

func (r rule) applies(p Packet) applies {
	result := yes
	for _, m := range r.matches {
		result = min(result, m(p))
	}
	return result
}

func (c *Chain) describe(what string) string {
	return fmt.Sprintf("%s, table %s, chain %s: %s", c.Tool, c.Table, c.Name, strings.TrimSpace(what))
}

// Has reports whether the table of a chain has another one of this name.
func (c *Chain) Has(name string) bool { return c.others[name] != nil }

// not negates a condition.
func not(m match) match {
	return func(p Packet) applies {
		switch m(p) {
		case yes:
			return no
		case no:
			return yes
		case forSome:
			return forSome
		default:
			return maybe
		}
	}
}

func always(result applies) match { return func(Packet) applies { return result } }

func when(condition bool) applies {
	if condition {
		return yes
	}
	return no
}
