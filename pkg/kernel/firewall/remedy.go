package firewall

import (
	"fmt"
	"net/netip"
)

// Remedy returns the command that lets a packet pass that is blocked.
func (r Rules) Remedy(p Packet, v Verdict) string {
	if v.At == nil {
		return ""
	}
	if v.At.Table == "inet firewalld" { // its chains are not edited
		if command := r.firewalld(p); command != "" {
			return command
		}
	}
	switch {
	case v.At.Tool == "nft":
		return fmt.Sprintf("nft insert rule %s %s %s accept (and in the file of these rules)", v.At.Table, v.At.Name, p.expression())
	case v.At.Table == "filter" && v.At.Has("ufw-user-forward") && p.Way == Forwarded:
		return fmt.Sprintf("ufw route allow proto %s from %s port %d", p.Protocol, p.From.Addr(), p.From.Port())
	case v.At.Table == "filter" && v.At.Has("ufw-user-input") && r.invalid(p): // dropped before the rules of the user
		return fmt.Sprintf("%s -t raw -I PREROUTING %s -j NOTRACK (and in /etc/ufw/before.rules)", v.At.Tool, p.options())
	case v.At.Table == "filter" && v.At.Has("ufw-user-input") && p.Way == Incoming && p.To.Port() != 0:
		return fmt.Sprintf("ufw allow proto %s to %s port %d", p.Protocol, p.To.Addr(), p.To.Port())
	case v.At.Table == "filter" && v.At.Has("ufw-user-input") && p.Way == Incoming && p.Protocol == "vrrp":
		return fmt.Sprintf("ufw allow proto vrrp to %s", p.To.Addr())
	case v.At.Table == "filter" && v.At.Has("DOCKER-USER") && p.Way == Forwarded:
		return fmt.Sprintf("%s -I DOCKER-USER %s -j ACCEPT (and after each start of docker)", v.At.Tool, p.options())
	default:
		table := ""
		if v.At.Table != "filter" {
			table = "-t " + v.At.Table + " "
		}
		return fmt.Sprintf("%s %s-I %s %s -j ACCEPT (and in the file of these rules)", v.At.Tool, table, v.At.Name, p.options())
	}
}

// firewalld returns the command of firewalld that lets a packet pass; "" if there is none.
func (r Rules) firewalld(p Packet) string {
	if tracked := p; p.Way == Forwarded && !p.Tracked {
		tracked.Tracked = true
		// They drop invalid packets, as answers are without connection tracking in IPVS, and accept those of established
		// connections.
		if r.Judge(tracked).Outcome == Passes {
			return "sysctl -w net.ipv4.vs.conntrack=1, so that answers belong to established connections, which the rules accept (and in /etc/sysctl.d)"
		}
	}
	switch {
	case r.invalid(p): // they drop invalid packets before they look at the port
		family := "ipv4"
		if p.is6() {
			family = "ipv6"
		}
		return fmt.Sprintf("firewall-cmd --permanent --direct --add-rule %s raw PREROUTING 0 -p %s -d %s --dport %d -j NOTRACK && firewall-cmd --reload",
			family, p.Protocol, p.To.Addr(), p.To.Port())
	case p.Way == Incoming && p.Protocol == "ipip":
		return "firewall-cmd --permanent --add-protocol=ipencap && firewall-cmd --reload"
	case p.Way == Incoming && p.Protocol == "ipv6":
		return "firewall-cmd --permanent --add-protocol=ipv6 && firewall-cmd --reload"
	case p.Way == Incoming && p.Protocol == "gre":
		return "firewall-cmd --permanent --add-protocol=gre && firewall-cmd --reload"
	case p.Way == Incoming && p.Protocol == "vrrp":
		return "firewall-cmd --permanent --add-protocol=vrrp && firewall-cmd --reload"
	case p.Way == Incoming && p.To.Port() != 0:
		return fmt.Sprintf("firewall-cmd --permanent --add-port=%d/%s && firewall-cmd --reload", p.To.Port(), p.Protocol)
	}
	return ""
}

// invalid reports whether a packet is blocked only because connection tracking calls it invalid.
func (r Rules) invalid(p Packet) bool {
	valid := p
	valid.Later = ""
	return p.Later == "INVALID" && r.Judge(valid).Outcome == Passes
}

// protocolNumbers are those of protocols that not every host knows by name.
var protocolNumbers = map[string]string{"ipip": "4", "ipv6": "41", "gre": "47", "vrrp": "112"}

// options describes the packet for iptables, expression for nft.
func (p Packet) options() string {
	text := "-p " + p.Protocol
	if number := protocolNumbers[p.Protocol]; number != "" {
		text = "-p " + number
	}
	if p.To.Addr().IsValid() {
		text = fmt.Sprintf("-d %s %s", p.To.Addr(), text)
	}
	if p.From.Addr().IsValid() {
		text = fmt.Sprintf("-s %s %s", p.From.Addr(), text)
	}
	if p.From.Port() != 0 {
		text += fmt.Sprintf(" --sport %d", p.From.Port())
	}
	if p.To.Port() != 0 {
		text += fmt.Sprintf(" --dport %d", p.To.Port())
	}
	return text
}

func (p Packet) expression() string {
	family, text := "ip", ""
	if p.is6() {
		family = "ip6"
	}
	add := func(which string, a netip.AddrPort) {
		if a.Addr().IsValid() {
			text += fmt.Sprintf("%s %saddr %s ", family, which, a.Addr())
		}
	}
	add("s", p.From)
	add("d", p.To)
	switch {
	case protocolNumbers[p.Protocol] != "":
		return text + "meta l4proto " + protocolNumbers[p.Protocol]
	case p.From.Port() != 0:
		return text + fmt.Sprintf("%s sport %d", p.Protocol, p.From.Port())
	case p.To.Port() != 0:
		return text + fmt.Sprintf("%s dport %d", p.Protocol, p.To.Port())
	}
	return text + "meta l4proto " + p.Protocol
}
