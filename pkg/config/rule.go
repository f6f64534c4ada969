package config

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// rule is a kernel.Rule under construction.
type rule struct {
	kernel.Rule
	instance *instance
}

// maxRulePriority leaves the rules of the tables main and default behind those of an instance.
const maxRulePriority = 32765

func ruleSection() *sectionOf[rule] {
	s := &sectionOf[rule]{
		section: section{
			name: "rules", part: true, what: "a rule with priority, table and from, to, fwmark, iif or oif",
			intro: "Policy rules, by which packets are routed by another table; they are added after the routes. A packet must match all\n" +
				"selectors of a rule: at least one of `from`, `to`, `fwmark`, `iif` and `oif`. A rule without `from` and `to` is of the\n" +
				"address family of the instance.",
			words: []word{
				needless("is keepalived's word: such a rule is not supported", "blackhole", "unreachable", "prohibit", "tos", "dsfield", "realms", "suppress_prefixlength",
					"suppress_ifgroup", "goto", "nop", "l3mdev", "uidrange", "ipproto", "sport", "dport", "tun_id", "not"),
			},
		},
		rules: func(r *rule, o object) { r.check(o) },
	}
	network := func(name string, in func(*rule) *netip.Prefix, doc string, words ...word) key[rule] {
		return &field[rule, netip.Prefix]{
			name: name, in: in, kind: scalar("address or network", Schema{Type: "string"}, value.network), unset: "any", doc: doc, reload: Live, words: words,
		}
	}
	link := func(name string, in func(*rule) *string, doc string, words ...word) key[rule] {
		return &field[rule, string]{name: name, in: in, kind: texts("text", Schema{}, value.anyInterface), unset: "any", doc: doc, reload: Live, words: words}
	}
	s.fields = []key[rule]{
		&field[rule, uint32]{
			name: "priority", in: func(r *rule) *uint32 { return &r.Priority }, kind: wholeNumber[uint32](1, maxRulePriority),
			required: "a number from 1 to 32765: the rule with the lowest is tried first",
			doc:      "the rule with the lowest is tried first", reload: Live, words: []word{synonyms("preference", "pref", "order")},
		},
		network("from", func(r *rule) *netip.Prefix { return &r.From }, "of the source address, for example a virtual address", synonyms("src")),
		network("to", func(r *rule) *netip.Prefix { return &r.To }, "of the destination address", synonyms("dst")),
		&field[rule, uint32]{
			name: "fwmark", in: func(r *rule) *uint32 { return &r.Mark }, kind: wholeNumber[uint32](1, maxTable), unset: "any",
			doc: "the mark that the packet filter gave the packet", reload: Live, words: []word{synonyms("mark")},
		},
		link("iif", func(r *rule) *string { return &r.Incoming }, "the interface by which it was received", synonyms("dev")),
		link("oif", func(r *rule) *string { return &r.Outgoing }, "the interface to which the socket is bound"),
		&field[rule, uint32]{
			name: "table", in: func(r *rule) *uint32 { return &r.Table }, kind: tableNumber(),
			required: "the number of the routing table", doc: "the routing table that is used", reload: Live, words: []word{synonyms("lookup")},
		},
	}
	return s.build()
}

func (r *rule) check(o object) {
	r.Family = r.instance.Family()
	for _, p := range []netip.Prefix{r.To, r.From} {
		if p.IsValid() {
			r.Family = kernel.FamilyOf(p.Addr())
		}
	}
	if r.To.IsValid() && kernel.FamilyOf(r.To.Addr()) != r.Family {
		o.locate("to").fail("", "%s is of %s, and from is of %s", r.To, kernel.FamilyOf(r.To.Addr()), r.Family)
	}
	if !slices.ContainsFunc([]string{"from", "to", "fwmark", "iif", "oif"}, func(name string) bool { return !o.missing(name) }) {
		o.fail("write from, to, fwmark, iif or oif", "the rule applies to every packet of this machine")
	}
}

// anyInterface reads the name of an interface, which may be lo: it sends what this machine sends.
func (v value) anyInterface() string {
	if v.node.Value == "lo" {
		return v.text()
	}
	return v.networkInterface()
}

func rulesField(s *sectionOf[rule]) key[instance] {
	return &field[instance, []kernel.Rule]{
		name: "rules", in: func(i *instance) *[]kernel.Rule { return &i.Rules },
		kind: kind[[]kernel.Rule]{form: mappingsOf[rule](&s.section, 0, nil).form, same: slices.Equal[[]kernel.Rule]},
		readAs: func(v value, i *instance) []kernel.Rule {
			all := []kernel.Rule{}
			for _, r := range s.each(v, "rules", rule{instance: i}) {
				all = append(all, r.v.Rule)
			}
			return all
		},
		unset: "none", doc: "policy rules that come and go with the virtual addresses", perNode: perNode,
		words: []word{keepalived("virtual_rules").write("`rules: [{from: 10.77.0.100, table: 100, priority: 1000}]`")},
	}
}

// checkRouting rejects two equal routes or rules on one director: one instance would remove those of another.
func (c *contents) checkRouting() {
	type owner struct{ director, text string }
	first := map[owner]string{}
	for _, in := range c.instances {
		reported := false
		all := in.v.byDirector()
		for _, director := range slices.Sorted(maps.Keys(all)) {
			own := all[director]
			note := func(key, text, what string) {
				at := owner{director, key}
				if other, used := first[at]; used && !reported {
					reported = true
					where := "instance " + quote(other)
					if other == in.v.Name {
						where = "this instance"
					}
					in.at.fail("", "%s: %s has %s already", text, where, what)
				}
				first[at] = in.v.Name
			}
			for _, r := range own.Routes {
				if r.Destination.IsValid() && r.Table != 0 {
					note(kernel.Route{Destination: r.Destination, Table: r.Table, Metric: r.Key().Metric}.String(), r.String(), "a route with this destination, table and metric")
				}
			}
			for _, r := range own.Rules {
				note(r.String(), r.String(), "this rule")
			}
		}
	}
}
