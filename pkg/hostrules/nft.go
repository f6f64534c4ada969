package hostrules

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// NFTable is the name of the table, of the family inet.
const NFTable = "lvs_firewall"

// NFT returns the rules as a file for nft -f. It replaces the table NFTable in one transaction and touches no other one.
func NFT(head []string, rules []Rule) string {
	var b strings.Builder
	b.WriteString("#!/usr/sbin/nft -f\n")
	comments(&b, "", head)
	fmt.Fprintf(&b, "table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {\n", NFTable)
	for _, hook := range []Hook{Input, Forward} {
		why, last, begun := "", "", false
		for _, r := range rules {
			if r.Hook != hook {
				continue
			}
			if !begun {
				begun = true
				fmt.Fprintf(&b, "\tchain %s {\n\t\ttype filter hook %s priority -5; policy accept;\n", hook, hook)
			}
			if r.Why != why {
				why = r.Why
				comments(&b, "\t\t", []string{why})
			}
			if text := r.nft(); text != last { // one rule may be for both families
				last = text
				fmt.Fprintf(&b, "\t\t%s\n", text)
			}
		}
		if begun {
			b.WriteString("\t}\n")
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func comments(b *strings.Builder, indent string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(b, "%s# %s\n", indent, line)
	}
}

// nft returns the rule in the language of nft.
func (r Rule) nft() string {
	family, ttl, echo := "ip", "ip ttl", "icmp type echo-request"
	if r.Family == kernel.IPv6 {
		family, ttl, echo = "ip6", "ip6 hoplimit", "icmpv6 type echo-request"
	}
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.Link != "" {
		add("iifname %q", r.Link)
	}
	if len(r.From) > 0 {
		add("%s saddr %s", family, set(r.From, prefixText))
	}
	if len(r.To) > 0 {
		add("%s daddr %s", family, set(r.To, netip.Addr.String))
	}
	if len(r.From)+len(r.To) == 0 && r.Link != "lo" {
		add("meta nfproto %s", map[string]string{"ip": "ipv4", "ip6": "ipv6"}[family])
	}
	port := func(p uint16) string { return fmt.Sprint(p) }
	switch name := portProtocols[r.Protocol]; {
	case r.Protocol == 0:
	case r.Echo:
		add("%s", echo)
	case name != "" && len(r.FromPorts)+len(r.ToPorts) > 0:
		if len(r.FromPorts) > 0 {
			add("%s sport %s", name, set(r.FromPorts, port))
		}
		if len(r.ToPorts) > 0 {
			add("%s dport %s", name, set(r.ToPorts, port))
		}
	default:
		add("meta l4proto %d", r.Protocol)
	}
	if r.OnLink {
		add("%s 255", ttl)
	}
	if r.Drop {
		return strings.Join(append(parts, "counter drop"), " ")
	}
	return strings.Join(append(parts, "accept"), " ")
}

var portProtocols = map[uint8]string{tcp: "tcp", udp: "udp", sctp: "sctp"}

// set returns one value as it is and several in braces.
func set[T any](all []T, text func(T) string) string {
	texts := make([]string, len(all))
	for n, one := range all {
		texts[n] = text(one)
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}

// prefixText is an address without its length.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
