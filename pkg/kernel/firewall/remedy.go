package firewall

import "fmt"

// Remedy returns the command that lets a packet pass that is blocked.
func (r Rules) Remedy(p Packet, v Verdict) string {
	if v.At == nil {
		return ""
	}
	if tracked := p; !p.Tracked && v.At.Table == "inet firewalld" {
		tracked.Tracked = true
		// The chains of firewalld are not edited. They drop invalid packets, as answers are without connection tracking in
		// IPVS, and accept those of established connections.
		if r.Judge(tracked).Outcome == Passes {
			return "sysctl -w net.ipv4.vs.conntrack=1, so that answers belong to established connections, which the rules accept (and in /etc/sysctl.d)"
		}
	}
	source := fmt.Sprintf("-s %s -p %s --sport %d", p.Source, p.Protocol, p.Port)
	switch {
	case v.At.Tool == "nft":
		address := "ip"
		if p.Source.Is6() {
			address = "ip6"
		}
		return fmt.Sprintf("nft insert rule %s %s %s saddr %s %s sport %d accept (and in the file of these rules)",
			v.At.Table, v.At.Name, address, p.Source, p.Protocol, p.Port)
	case v.At.Table == "filter" && v.At.Has("ufw-user-forward"):
		return fmt.Sprintf("ufw route allow proto %s from %s port %d", p.Protocol, p.Source, p.Port)
	case v.At.Table == "filter" && v.At.Has("DOCKER-USER"):
		return fmt.Sprintf("%s -I DOCKER-USER %s -j ACCEPT (and after each start of docker)", v.At.Tool, source)
	default:
		table := ""
		if v.At.Table != "filter" {
			table = "-t " + v.At.Table + " "
		}
		return fmt.Sprintf("%s %s-I FORWARD %s -j ACCEPT (and in the file of these rules)", v.At.Tool, table, source)
	}
}
