package hostrules

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// The chains of iptables.
var tableChains = map[Hook]string{Input: "LVS-INPUT", Forward: "LVS-FORWARD"}

// mostPorts is how many ports the match multiport takes.
const mostPorts = 15

// Save returns the rules of a family as a file for iptables-restore --noflush or ip6tables-restore --noflush. It replaces
// the chains LVS-INPUT and LVS-FORWARD, and inserts a jump to each that has rules; all else stays.
func Save(head []string, rules []Rule, family kernel.Family) string {
	var b strings.Builder
	comments(&b, "", head)
	b.WriteString("*filter\n")
	var jumps []string
	for _, hook := range []Hook{Input, Forward} {
		fmt.Fprintf(&b, ":%s - [0:0]\n", tableChains[hook]) // also without rules, to remove those of a file before
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.Hook == hook && r.Family == family }) {
			continue
		}
		jumps = append(jumps, fmt.Sprintf("-I %s -j %s\n", strings.ToUpper(string(hook)), tableChains[hook]))
	}
	for _, hook := range []Hook{Input, Forward} {
		why := ""
		for _, r := range rules {
			if r.Hook != hook || r.Family != family {
				continue
			}
			if r.Why != why {
				why = r.Why
				comments(&b, "", []string{why})
			}
			for _, options := range r.iptables() {
				fmt.Fprintf(&b, "-A %s%s\n", tableChains[hook], options)
			}
		}
	}
	for _, jump := range jumps {
		b.WriteString(jump)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// iptables returns the options of the rules that are the same as r: one for each pair of addresses and each group of
// ports.
func (r Rule) iptables() []string {
	var all []string
	froms, tos := orNone(r.From), orNone(r.To)
	for _, from := range froms {
		for _, to := range tos {
			for _, fromPorts := range chunks(r.FromPorts) {
				for _, toPorts := range chunks(r.ToPorts) {
					all = append(all, r.options(from, to, fromPorts, toPorts))
				}
			}
		}
	}
	return all
}

func (r Rule) options(from netip.Prefix, to netip.Addr, fromPorts, toPorts []uint16) string {
	text := ""
	add := func(format string, args ...any) { text += " " + fmt.Sprintf(format, args...) }
	if from.IsValid() {
		add("-s %s", prefixText(from))
	}
	if to.IsValid() {
		add("-d %s", to)
	}
	if r.Link != "" {
		add("-i %s", r.Link)
	}
	if r.Protocol != 0 {
		add("-p %s", cmp.Or(portProtocols[r.Protocol], fmt.Sprint(r.Protocol)))
	}
	switch {
	case r.Echo && r.Family == kernel.IPv6:
		add("-m icmp6 --icmpv6-type 128")
	case r.Echo:
		add("-m icmp --icmp-type 8")
	}
	for _, one := range []struct {
		option string
		ports  []uint16
	}{{"sport", fromPorts}, {"dport", toPorts}} {
		switch len(one.ports) {
		case 0:
		case 1:
			add("--%s %d", one.option, one.ports[0])
		default:
			add("-m multiport --%ss %s", one.option, strings.Trim(strings.ReplaceAll(fmt.Sprint(one.ports), " ", ","), "[]"))
		}
	}
	switch {
	case r.OnLink && r.Family == kernel.IPv6:
		add("-m hl --hl-eq 255")
	case r.OnLink:
		add("-m ttl --ttl-eq 255")
	}
	if r.Drop {
		return text + " -j DROP"
	}
	return text + " -j ACCEPT"
}

// orNone returns the values, or one zero value if there are none.
func orNone[T any](all []T) []T {
	if len(all) == 0 {
		return make([]T, 1)
	}
	return all
}

// chunks returns ports in groups that fit into one rule; one empty group if there are none.
func chunks(ports []uint16) [][]uint16 {
	if len(ports) == 0 {
		return [][]uint16{nil}
	}
	return slices.Collect(slices.Chunk(ports, mostPorts))
}
