package firewall

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// rate is the condition of a rule that depends on how many packets or connections there were.
type rate struct {
	// over: the rule applies above the rate. Otherwise it applies up to it, and not above.
	over bool
	// perSecond is how many packets it lets through in a second on the average; +Inf if it counts something else, such as
	// bytes, or connections at a time.
	perSecond float64
}

// tooSlow is the rate in packets per second below which no connection can be used whose packets are counted.
const tooSlow = 1

// holds reports whether the condition holds for packets above or below the rate.
func (r *rate) holds(above bool) bool { return r == nil || r.over == above }

// limit is what a rule with a rate does to a packet.
type limit struct {
	why       string  // the rule
	perSecond float64 // of its packets
}

// note remembers the first rule with a rate that concerns the packet, and the smallest rate.
func (l *limit) note(c *Chain, r rule) {
	if l.why == "" {
		l.why, l.perSecond = c.describe(r.text), math.Inf(1)
	}
	l.perSecond = min(l.perSecond, r.rate.perSecond)
}

// units are those of a rate in iptables and in nft, as seconds.
var units = map[string]float64{
	"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400, "week": 7 * 86400,
}

// perSecond parses a rate as iptables prints it: "3/min". What is none, such as bytes, is +Inf.
func perSecond(text string) float64 {
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(number, 64)
	if seconds, known := units[unit]; known && err == nil {
		return n / seconds
	}
	return math.Inf(1)
}

// rateOptions are the options of iptables that make a rule depend on a rate; true if it applies above.
var rateOptions = map[string]bool{
	"--limit": false, "--hashlimit": false, "--hashlimit-upto": false, "--hashlimit-above": true, "--connlimit-upto": false, "--connlimit-above": true,
}

// rateDetails are the other options of these extensions.
func rateDetails(option string) bool {
	return option == "--limit-burst" || strings.HasPrefix(option, "--hashlimit-") || strings.HasPrefix(option, "--connlimit-")
}

// rateOf returns the rate that an option of iptables sets; nil if it is another one.
func rateOf(option string, negated bool, arguments []string) *rate {
	over, is := rateOptions[option]
	if !is || len(arguments) == 0 {
		return nil
	}
	r := &rate{over: over != negated, perSecond: perSecond(arguments[0])}
	if strings.HasPrefix(option, "--connlimit") {
		r.perSecond = math.Inf(1)
	}
	return r
}

// recent are the options of the extension recent, which has lists of addresses with the times of their packets.
type recent struct {
	asks    bool // whether the address is in the list: --rcheck or --update
	removes bool // likewise, and removes it
	not     bool
	hits    float64 // 0: not asked
	seconds float64 // 0: not asked
}

// take takes an option; false if it is of another extension.
func (r *recent) take(option string, negated bool, arguments []string) bool {
	number := func() float64 {
		if len(arguments) == 0 {
			return 0
		}
		n, _ := strconv.ParseFloat(arguments[0], 64)
		return n
	}
	switch option {
	case "--rcheck", "--update":
		r.asks, r.not = true, negated
	case "--remove":
		r.removes = true
	case "--hitcount":
		r.hits = number()
	case "--seconds":
		r.seconds = number()
	case "--set", "--name", "--rsource", "--rdest", "--mask", "--rttl", "--reap": // --set applies always
	default:
		return false
	}
	return true
}

// apply adds the condition to a rule whose action is known. A list without a number of packets is one of clients, which other
// rules fill. But one with a time that stops packets may be a rate, too: one packet in that time.
func (r *recent) apply(to *rule) {
	stops := to.action != Accept && to.action != returns && to.action != nothing
	switch {
	case r.asks && (r.hits > 1 || r.seconds > 0 && stops):
		to.rate = &rate{over: !r.not, perSecond: 0}
		if r.seconds > 0 {
			to.rate.perSecond = max(1, r.hits) / r.seconds
		}
	case r.asks || r.removes:
		to.matches = append(to.matches, ofClient)
	}
}

// ofClient is a condition on the source address that is not known: it depends on the client if the source is one.
func ofClient(p Packet) applies {
	if p.From.Addr().IsValid() {
		return maybe
	}
	return forSome
}

// nftRate returns the rate of a statement of nft: limit, ct count, or a meter or set that has one for each of its elements.
// It is nil if there is none.
func nftRate(kind string, body json.RawMessage) *rate {
	var s struct {
		Rate float64
		Per  string
		Unit string `json:"rate_unit"` // bytes, if it is not packets
		Inv  bool
		Stmt json.RawMessage
	}
	if json.Unmarshal(body, &s) != nil {
		return nil
	}
	switch kind {
	case "limit":
		r := &rate{over: s.Inv, perSecond: math.Inf(1)}
		if seconds, known := units[s.Per]; known && (s.Unit == "" || s.Unit == "packets") {
			r.perSecond = s.Rate / seconds
		}
		return r
	case "ct count":
		return &rate{over: s.Inv, perSecond: math.Inf(1)}
	case "meter", "set":
		var inner []statement
		if json.Unmarshal(s.Stmt, &inner) != nil {
			var one statement
			if json.Unmarshal(s.Stmt, &one) != nil {
				return nil
			}
			inner = []statement{one}
		}
		for _, one := range inner {
			for kind, body := range one {
				if r := nftRate(kind, body); r != nil && !slices.Contains([]string{"meter", "set"}, kind) {
					return r
				}
			}
		}
	}
	return nil
}
