package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// Packet is a forwarded packet of a real server to a client.
type Packet struct {
	In, Out  string     // interfaces; "": not known
	Source   netip.Addr // of the real server
	Port     uint16     // likewise
	Protocol string     // "tcp", "udp" or "sctp"
	// Tracked: IPVS tells connection tracking about its connections (net.ipv4.vs.conntrack), so that the packet is
	// ESTABLISHED. Otherwise the first answer of a TCP connection is INVALID and later ones are NEW.
	Tracked bool

	state string
}

// Outcome is the result of a judgement.
type Outcome int

const (
	// Passes: every chain accepts it, at least for some clients.
	Passes Outcome = iota
	// Unclear: it depends on something that the rules do not say.
	Unclear
	// Blocked: it is dropped or rejected for every client.
	Blocked
)

// Verdict is an outcome with its reason.
type Verdict struct {
	Outcome Outcome
	Why     string // the rule or policy that blocks it or is unclear; "" if it passes
	At      *Chain // the base chain of that rule; nil if it passes
}

// Rules are the chains of a host through which forwarded packets pass.
type Rules struct {
	Bases []*Chain
}

// Chain is a chain of rules.
type Chain struct {
	Tool   string // "iptables", "iptables-legacy" or "nft", which shows it
	Table  string // "filter", or with nft "inet firewalld"
	Name   string
	Policy Action // of a base chain
	rules  []rule
	others map[string]*Chain // of the same table, by name
}

// Action is what a rule does with a packet.
type Action int

const (
	nothing Action = iota
	// Accept and Drop end the way through a base chain; a reject is a drop.
	Accept
	Drop
	returns
	jump    // to another chain
	goes    // to another chain, without return
	unknown // an extension that may do anything
)

// rule is one rule. matches are conditions, all of which must apply.
type rule struct {
	text    string
	matches []match
	action  Action
	target  string // of jump and goes
}

// match decides whether a condition applies to a packet.
type match func(Packet) applies

// applies is the result of a condition.
type applies int

const (
	no      applies = iota
	maybe           // it is not known
	forSome         // it depends on the client's address or port
	yes
)

// Judge judges a packet. What depends on the client is decided in favor of the packet: a rule that drops the packets of
// some clients leaves others, and one that accepts some serves them.
func (r Rules) Judge(p Packet) Verdict {
	states := []string{"INVALID", "NEW"}
	switch {
	case p.Tracked:
		states = []string{"ESTABLISHED"}
	case p.Protocol != "tcp":
		states = []string{"NEW"}
	}
	worst := Verdict{}
	for _, p.state = range states {
		way := walk{packet: p, known: map[*Chain]*result{}}
		for _, base := range r.Bases {
			ends, why := way.through(base)
			now := Verdict{Why: why, At: base}
			switch {
			case !ends.drops:
				continue
			case ends.accepts:
				now.Outcome = Unclear
			default:
				now.Outcome = Blocked
			}
			if now.Outcome > worst.Outcome {
				worst = now
			}
		}
	}
	return worst
}

// ends are the ways in which a packet may leave a chain.
type ends struct{ accepts, drops, returns bool }

func (e ends) and(b ends) ends {
	return ends{e.accepts || b.accepts, e.drops || b.drops, e.returns || b.returns}
}

// walk is the way of one packet. Each chain is walked once, however many rules jump to it.
type walk struct {
	packet Packet
	known  map[*Chain]*result
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
	r := &result{ends{accepts: true, drops: true}, c.describe("a loop")}
	w.known[c] = r
	r.ends, r.why = w.rules(c)
	return r.ends, r.why
}

func (w walk) rules(c *Chain) (all ends, why string) {
	for _, r := range c.rules {
		hit := r.applies(w.packet)
		if hit == no || r.action == nothing {
			continue
		}
		end, reason := w.follow(c, r)
		if hit == forSome {
			switch {
			case !end.accepts: // other clients remain
				continue
			case !end.drops:
				hit = yes
			default:
				hit = maybe
			}
		}
		if why == "" && end.drops {
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
				end = ends{end.accepts || c.Policy == Accept, end.drops || c.Policy == Drop, false}
				why = cmp.Or(why, c.describe("policy DROP"))
			}
			return end, why
		}
	}
	return ends{true, true, true}, text
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
