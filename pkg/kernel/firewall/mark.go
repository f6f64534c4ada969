package firewall

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// markSetting is what a rule does with the firewall mark of a packet.
type markSetting struct {
	value uint32
	exact bool // it sets the whole mark to value; otherwise what it sets is not known
}

// Marks judges whether a rule gives incoming packets exactly this firewall mark before IPVS sees them, whichever packets these
// are: Passes, Unclear if a rule may, or Blocked if none does. Marks of tc, of eBPF and of nf_tables rules of the family
// bridge are not seen.
func (r Rules) Marks(mark uint32) Verdict {
	result := Verdict{Outcome: Blocked, Why: "no rule of the packet filter sets it"}
	for _, base := range r.Bases {
		if !slices.Contains(hooks[Incoming], base.hook) {
			continue
		}
		for _, c := range base.reached() {
			for _, rule := range c.rules {
				switch m := rule.mark; {
				case m != nil && m.exact && m.value == mark:
					return Verdict{}
				case (m != nil && !m.exact || rule.action == unknown || rule.action == jump && c.others[rule.target] == nil) && result.Outcome == Blocked:
					result = Verdict{Unclear, c.describe(rule.text), base}
				}
			}
		}
	}
	return result
}

// reached returns a base chain and all chains that a packet may reach from it.
func (c *Chain) reached() []*Chain {
	all := []*Chain{c}
	for n := 0; n < len(all); n++ {
		for _, r := range all[n].rules {
			if to := c.others[r.target]; to != nil && (r.action == jump || r.action == goes) && !slices.Contains(all, to) {
				all = append(all, to)
			}
		}
	}
	return all
}

// markOf returns what a target of iptables does with the mark, by its options; nil: nothing.
func markOf(target string, options []string) *markSetting {
	switch target {
	case "MARK":
		at := slices.IndexFunc(options, func(o string) bool { return o == "--set-xmark" || o == "--set-mark" })
		if at < 0 || at+1 >= len(options) {
			return new(markSetting)
		}
		value, mask, masked := strings.Cut(options[at+1], "/")
		v, err := strconv.ParseUint(value, 0, 32)
		bits, wrong := strconv.ParseUint(mask, 0, 32)
		return &markSetting{uint32(v), err == nil && (!masked || wrong == nil && uint32(bits) == ^uint32(0))}
	case "CONNMARK":
		if slices.Contains(options, "--restore-mark") {
			return new(markSetting)
		}
	case "SET":
		if slices.Contains(options, "--map-mark") { // to that of an element of an ipset
			return new(markSetting)
		}
	case "TPROXY":
		return new(markSetting)
	}
	return nil
}

// nftMark returns what a statement of the kind mangle does with the mark; nil: it changes something else.
func nftMark(body json.RawMessage) *markSetting {
	var s struct {
		Key struct {
			Meta struct{ Key string }
		}
		Value json.RawMessage
	}
	if json.Unmarshal(body, &s) != nil || s.Key.Meta.Key != "mark" {
		return nil
	}
	value, err := strconv.ParseUint(string(s.Value), 10, 32)
	return &markSetting{uint32(value), err == nil}
}
