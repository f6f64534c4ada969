package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// answer is the packet of a real server on the inner network.
var answer = Packet{Way: Forwarded, In: "eth1", Out: "eth0", From: netip.MustParseAddrPort("10.79.0.11:3307"), Protocol: "tcp"}

func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rulesOf parses a recorded rule set, or rules for the chain FORWARD of iptables.
func rulesOf(t *testing.T, text string) Rules {
	t.Helper()
	if strings.HasSuffix(text, ".json") {
		bases, err := parseNFT([]byte(recorded(t, text)), "ip", func(family, table string) bool { return family+table == "ipraw" }) // of iptables
		if err != nil {
			t.Fatal(err)
		}
		return Rules{bases}
	}
	if strings.HasSuffix(text, ".save") {
		text = recorded(t, text)
	}
	bases, _, err := parseSave("iptables", text)
	if err != nil {
		t.Fatal(err)
	}
	return Rules{bases}
}

// saved returns the output of iptables-save for a policy and rules of the chain FORWARD.
func saved(policy string, rules ...string) string {
	text := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD " + policy + " [0:0]\n:OUTPUT ACCEPT [0:0]\n:sub - [0:0]\n"
	for _, r := range rules {
		if !strings.HasPrefix(r, "-A") {
			r = "-A FORWARD " + r
		}
		text += r + "\n"
	}
	return text + "COMMIT\n"
}

func TestJudge(t *testing.T) {
	const invalid = "the state of answers without net.ipv4.vs.conntrack"
	for _, c := range []struct {
		rules   string
		tracked bool
		want    Outcome
		why     string // part of the reason
	}{
		{"docker.save", false, Blocked, "iptables, table filter, chain FORWARD: policy DROP"},
		{"docker.save", true, Blocked, "policy DROP"},
		{"docker28.save", false, Blocked, "policy DROP"},
		{"docker28.save", true, Blocked, "policy DROP"},
		{"ufw.save", false, Blocked, "policy DROP"},
		{"ufw.save", true, Passes, ""},
		{"firewalld.json", false, Blocked, `nft, table inet firewalld, chain filter_FORWARD: {"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"invalid"}} {"drop":null}`},
		{"firewalld.json", true, Passes, ""},
		{"docker.json", false, Blocked, "nft, table ip filter, chain FORWARD: policy DROP"},
		{"router.json", false, Passes, ""}, // by a named set
		{"router.json", true, Passes, ""},
		{"open.json", false, Passes, ""},

		// Measured with IPVS on user-mode-linux 6.1: clients were served with Passes, and all of them failed with Blocked.
		{saved("ACCEPT"), false, Passes, ""},
		{saved("DROP"), false, Blocked, "policy DROP"},
		{saved("DROP", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), false, Blocked, "policy DROP"},
		{saved("DROP", "-m conntrack --ctstate NEW -j ACCEPT"), false, Blocked, "policy DROP"},
		{saved("DROP", "-m conntrack --ctstate INVALID -j ACCEPT"), false, Blocked, "policy DROP"},
		{saved("DROP", "-m conntrack --ctstate UNTRACKED -j ACCEPT"), false, Blocked, "policy DROP"},
		{saved("ACCEPT", "-m conntrack --ctstate INVALID -j DROP"), false, Blocked, "-A FORWARD -m conntrack --ctstate INVALID -j DROP"},
		{saved("DROP", "-s 10.79.0.0/24 -i eth1 -o eth0 -p tcp -m tcp --sport 3307 -j ACCEPT"), false, Passes, ""},
		{saved("DROP", "-s 10.77.0.100/32 -j ACCEPT"), false, Blocked, "policy DROP"}, // the VIP: IPVS rewrites later
		{saved("DROP", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), true, Passes, ""},
		{saved("DROP", "-m conntrack --ctstate NEW -j ACCEPT"), true, Blocked, ""},
		{saved("ACCEPT", "-m conntrack --ctstate INVALID -j DROP"), true, Passes, ""},

		{saved("ACCEPT", "-j REJECT --reject-with icmp-port-unreachable"), false, Blocked, "-j REJECT"},
		{saved("ACCEPT", "-j sub", "-A sub -p udp -j RETURN", "-A sub -j DROP"), false, Blocked, "-A sub -j DROP"},
		{saved("ACCEPT", "-j sub", "-A sub -p tcp -j RETURN", "-A sub -j DROP"), false, Passes, ""},
		{saved("DROP", "-g sub", "-j ACCEPT", "-A sub -p udp -j ACCEPT"), false, Blocked, "policy DROP"},
		{saved("DROP", "-j sub", "-j ACCEPT", "-A sub -p udp -j ACCEPT"), false, Passes, ""},
		{saved("DROP", "! -i eth0 -j ACCEPT"), false, Passes, ""},
		{saved("DROP", "! -i eth+ -j ACCEPT"), false, Blocked, ""},
		{saved("DROP", `-m comment --comment "the \"inner\" net -j DROP" -i eth+ -j ACCEPT`), false, Passes, ""},
		{saved("DROP", "-p tcp -m multiport --sports 80,3300:3310 -j ACCEPT"), false, Passes, ""},
		{saved("DROP", "-p tcp -m multiport ! --sports 80,3300:3310 -j ACCEPT"), false, Blocked, ""},
		{saved("DROP", "-p tcp -m tcp --dport 3306 -j ACCEPT"), false, Blocked, "policy DROP"}, // to clients' ephemeral ports
		{saved("DROP", "-p tcp -m tcp --dport 1024:65535 -j ACCEPT"), false, Passes, ""},
		{saved("DROP", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT"), false, Blocked, ""},
		{saved("ACCEPT", "-m addrtype --dst-type LOCAL -j DROP"), false, Passes, ""},
		{saved("ACCEPT", "-j LOG --log-prefix \"x \"", "-j MARK --set-xmark 0x1/0xffffffff"), false, Passes, ""},

		// Some clients are served, as intended.
		{saved("DROP", "-d 198.51.100.0/24 -j ACCEPT"), false, Passes, ""},
		{saved("ACCEPT", "-d 198.51.100.0/24 -j DROP"), false, Passes, ""},
		{saved("DROP", "-d 10.79.0.0/24 -j ACCEPT"), false, Blocked, ""}, // no clients of NAT are there

		// What cannot be told.
		{saved("ACCEPT", "-m set --match-set bad src -j DROP"), false, Unclear, "-m set --match-set bad src"},
		{saved("DROP", "-m mark --mark 0x4000/0x4000 -j ACCEPT"), false, Unclear, "policy DROP"},
		{saved("ACCEPT", "-j NFQUEUE --queue-num 0"), false, Unclear, "NFQUEUE"},
		{saved("DROP", "-m set --match-set bad src -j DROP", "-p tcp -j ACCEPT"), false, Unclear, "--match-set"},
		{saved("ACCEPT", "-p tcp -m limit --limit 100/sec -j ACCEPT", "-p tcp -j DROP"), false, Limited, "--limit 100/sec"},
		{saved("ACCEPT", "-m set --match-set bad src -p udp -j DROP"), false, Passes, ""},
		{strings.Replace(saved("DROP"), "*filter", "*mangle", 1), false, Blocked, "table mangle"},
		{strings.Replace(saved("DROP"), "*filter", "*nat", 1), false, Passes, ""},
		{"", false, Passes, ""},
	} {
		p := answer
		p.Tracked = c.tracked
		got := rulesOf(t, c.rules).Judge(p)
		if got.Outcome != c.want || !strings.Contains(got.Why, c.why) || (got.Why == "") != (c.want == Passes) {
			t.Errorf("%s\ntracked %v (%s): %d %s, want %d %s", c.rules, c.tracked, invalid, got.Outcome, got.Why, c.want, c.why)
		}
	}
}

// A packet whose interface or protocol is another one.
func TestJudgeOtherPackets(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Packet)
		rules  string
		want   Outcome
	}{
		"behind a router: the interface is not known": {func(p *Packet) { p.In = "" }, saved("DROP", "-i eth1 -j ACCEPT"), Unclear},
		"and does not matter":                         {func(p *Packet) { p.In = "" }, saved("DROP", "-i + -j ACCEPT"), Passes},
		"UDP is NEW":                                  {func(p *Packet) { p.Protocol = "udp" }, saved("ACCEPT", "-m conntrack --ctstate INVALID -j DROP"), Passes},
		"UDP and a rule for TCP":                      {func(p *Packet) { p.Protocol = "udp" }, saved("DROP", "-p tcp -j ACCEPT"), Blocked},
		"in docker's network":                         {func(p *Packet) { p.In, p.From = "docker0", netip.MustParseAddrPort("172.17.0.2:3307") }, "docker.save", Passes},
	} {
		p := answer
		c.change(&p)
		if got := rulesOf(t, c.rules).Judge(p); got.Outcome != c.want {
			t.Errorf("%s: %d %s, want %d", name, got.Outcome, got.Why, c.want)
		}
	}
}

// TestJudgeIncomingAndOutgoing: packets of clients to the VIP, their answers and the director's checks.
func TestJudgeIncomingAndOutgoing(t *testing.T) {
	own := netip.MustParseAddrPort("10.77.0.2:0")
	server := netip.MustParseAddrPort("10.77.0.11:3306")
	client := Packet{Way: Incoming, In: "eth0", To: netip.MustParseAddrPort("10.77.0.100:3306"), Protocol: "tcp"}
	check := Packet{Way: Outgoing, Out: "eth0", From: own, To: server, Protocol: "tcp"}
	checked := Packet{Way: Incoming, In: "eth0", From: server, To: own, Protocol: "tcp", Tracked: true}
	tunnel := Packet{Way: Incoming, In: "eth0", To: netip.MustParseAddrPort("10.77.0.11:0"), Protocol: "ipip"}
	advert := Packet{Way: Incoming, In: "eth0", From: netip.MustParseAddrPort("10.77.0.3:0"), To: netip.MustParseAddrPort("224.0.0.18:0"), Protocol: "vrrp", Later: "NEW"}
	balanced, oneWay := client, client // by a director
	balanced.Later = "NEW"
	oneWay.Later = "INVALID"
	chain := func(table, name, policy string, rules ...string) string {
		text := "*" + table + "\n:" + name + " " + policy + " [0:0]\n"
		for _, r := range rules {
			text += "-A " + name + " " + r + "\n"
		}
		return text + "COMMIT\n"
	}
	for _, c := range []struct {
		packet Packet
		rules  string
		want   Outcome
	}{
		{client, "ufw.save", Blocked},
		{client, "ufw-3306.save", Passes},
		{balanced, "ufw-3306.save", Passes},
		{client, "firewalld-server.json", Blocked},
		{client, "firewalld-3306.json", Passes},
		{checked, "firewalld-server.json", Passes},
		{check, "firewalld-server.json", Passes},
		{tunnel, "firewalld-3306.json", Blocked},
		{advert, "firewalld-3306.json", Passes},
		{advert, "firewalld-server.json", Blocked},
		{advert, "ufw-3306.save", Passes},
		{advert, "ufw.save", Blocked},
		{advert, "docker28.save", Passes},
		{advert, chain("filter", "INPUT", "DROP", "-m addrtype --dst-type MULTICAST -j ACCEPT"), Passes},
		{advert, chain("filter", "INPUT", "DROP", "-m addrtype --dst-type LOCAL -j ACCEPT"), Blocked},
		{advert, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate ESTABLISHED -j ACCEPT"), Blocked},
		{oneWay, "firewalld-3306.json", Blocked},
		{oneWay, chain("filter", "INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP"), Blocked},
		{oneWay, chain("filter", "INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP") + chain("raw", "PREROUTING", "ACCEPT", "-d 10.77.0.100/32 -p tcp -m tcp --dport 3306 -j NOTRACK"), Passes},
		{oneWay, chain("filter", "INPUT", "DROP", "-p tcp -m tcp --dport 3306 -j ACCEPT", "-m conntrack --ctstate INVALID -j DROP"), Passes},
		{client, chain("filter", "INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP"), Passes},
		{client, "docker.save", Passes},
		{client, "docker28.save", Passes},
		{checked, "ufw.save", Passes},
		{check, "ufw.save", Passes},
		{client, chain("filter", "FORWARD", "DROP"), Passes},
		{client, chain("filter", "INPUT", "DROP"), Blocked},
		{client, chain("filter", "INPUT", "DROP", "-p tcp -m tcp --dport 3306 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT"), Blocked},
		{client, chain("filter", "INPUT", "DROP", "-p tcp -m tcp --dport 3306 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT", "-m conntrack --ctstate ESTABLISHED -j ACCEPT"), Passes},
		{balanced, chain("filter", "INPUT", "DROP", "-p tcp -m tcp --dport 3306 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT", "-m conntrack --ctstate ESTABLISHED -j ACCEPT"), Blocked},
		{client, chain("filter", "INPUT", "ACCEPT", "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP"), Passes},
		{balanced, chain("filter", "INPUT", "ACCEPT", "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP"), Blocked},
		{balanced, chain("filter", "INPUT", "DROP", "-p tcp -m tcp --dport 3306 -m conntrack --ctstate NEW -j ACCEPT"), Passes},
		{balanced, "firewalld-3306.json", Passes},
		{client, chain("filter", "INPUT", "DROP", "-s 10.77.0.0/24 -j ACCEPT"), Passes},
		{client, chain("filter", "INPUT", "ACCEPT", "-s 10.77.0.0/24 -j DROP"), Passes},
		{client, chain("filter", "INPUT", "DROP", "-d 10.77.0.2/32 -j ACCEPT"), Blocked},
		{client, chain("filter", "INPUT", "DROP", "-m addrtype --dst-type LOCAL -j ACCEPT"), Passes},
		{client, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate NEW -j ACCEPT"), Blocked},
		{balanced, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate NEW -j ACCEPT"), Passes},
		{client, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate NEW -j ACCEPT") + chain("raw", "PREROUTING", "ACCEPT", "-p tcp -j NOTRACK"), Blocked},
		{client, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate UNTRACKED -j ACCEPT") + chain("raw", "PREROUTING", "ACCEPT", "-d 10.77.0.100/32 -p tcp -j CT --notrack"), Passes},
		{client, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate UNTRACKED -j ACCEPT") + chain("raw", "PREROUTING", "ACCEPT", "-d 10.77.0.99/32 -p tcp -j CT --notrack"), Blocked},
		{client, chain("raw", "PREROUTING", "ACCEPT", "-d 10.77.0.100/32 -j DROP"), Blocked},
		{client, chain("mangle", "PREROUTING", "ACCEPT", "-d 10.77.0.100/32 -i eth1 -j DROP"), Passes},
		{client, chain("nat", "PREROUTING", "ACCEPT", "-d 10.77.0.100/32 -j DNAT --to-destination 10.77.0.9"), Passes},
		{tunnel, chain("filter", "INPUT", "DROP", "-p ipencap -j ACCEPT"), Passes},
		{tunnel, chain("filter", "INPUT", "DROP", "-p 4 -j ACCEPT"), Passes},
		{tunnel, chain("filter", "INPUT", "DROP", "-p tcp -j ACCEPT"), Blocked},
		{check, chain("filter", "OUTPUT", "ACCEPT", "-d 10.77.0.11/32 -p tcp -j REJECT --reject-with tcp-reset"), Blocked},
		{check, chain("filter", "OUTPUT", "ACCEPT", "-d 10.77.0.11/32 -p tcp -m tcp --sport 50000:65535 -j DROP"), Passes}, // not always
		{check, chain("filter", "OUTPUT", "DROP", "-m owner --uid-owner 0 -j ACCEPT"), Unclear},
		{check, chain("filter", "OUTPUT", "DROP", "-m addrtype --src-type LOCAL -j ACCEPT"), Passes},
		{check, chain("filter", "INPUT", "DROP"), Passes},
		{checked, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), Passes},
		{checked, chain("filter", "INPUT", "DROP", "-m conntrack --ctstate NEW -j ACCEPT"), Blocked},
		{checked, chain("filter", "INPUT", "DROP", "-s 10.77.0.11/32 -p tcp -m tcp --sport 3306 -j ACCEPT"), Passes},
	} {
		if got := rulesOf(t, c.rules).Judge(c.packet); got.Outcome != c.want {
			t.Errorf("%+v\n%s: %d %s, want %d", c.packet, c.rules, got.Outcome, got.Why, c.want)
		}
	}
}

// TestJudgeIngress: a chain of the hook ingress of one interface, as nft -j prints it.
func TestJudgeIngress(t *testing.T) {
	const ruleset = `{"nftables": [{"table": {"family": "netdev", "name": "f"}},
		{"chain": {"family": "netdev", "table": "f", "name": "in", "dev": "eth0", "type": "filter", "hook": "ingress", "prio": 0, "policy": "accept"}},
		{"rule": {"family": "netdev", "table": "f", "chain": "in", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 3306}}, {"drop": null}]}}]}`
	bases, err := parseNFT([]byte(ruleset), "ip", func(string, string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	for iface, want := range map[string]Outcome{"eth0": Blocked, "eth1": Passes} {
		p := Packet{Way: Incoming, In: iface, To: netip.MustParseAddrPort("10.77.0.100:3306"), Protocol: "tcp"}
		if got := (Rules{bases}).Judge(p); got.Outcome != want {
			t.Errorf("%s: %d %s", iface, got.Outcome, got.Why)
		}
	}
}

// TestRedirected: rules that send the packets of clients elsewhere, in iptables and in nft.
func TestRedirected(t *testing.T) {
	p := Packet{Way: Incoming, In: "eth0", To: netip.MustParseAddrPort("10.77.0.100:8080"), Protocol: "tcp"}
	nft := func(expressions string) string {
		return `{"nftables": [{"chain": {"family": "ip", "table": "n", "name": "pre", "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}},
			{"rule": {"family": "ip", "table": "n", "chain": "pre", "expr": [` + expressions + `]}}]}`
	}
	const local = `{"match": {"op": "==", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"}}, `
	const port = `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 8080}}, `
	for _, c := range []struct {
		rules string
		want  Outcome
	}{
		{"docker.save", Blocked},
		{"docker28.save", Passes}, // without its table nat
		{"docker.json", Unclear},  // nft does not show the extensions of iptables
		{"ufw.save", Passes},
		{"firewalld.json", Passes},
		{nft(local + port + `{"dnat": {"addr": "172.17.0.2", "port": 80}}`), Blocked},
		{nft(port + `{"redirect": {"port": 3306}}`), Blocked},
		{nft(strings.Replace(port, "8080", "8081", 1) + `{"redirect": {"port": 3306}}`), Passes},
		{nft(`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": "@ports"}}, {"dnat": {"addr": "172.17.0.2"}}`), Unclear},
	} {
		var rules Rules
		if strings.HasPrefix(c.rules, "{") {
			bases, err := parseNFT([]byte(c.rules), "ip", func(string, string) bool { return false })
			if err != nil {
				t.Fatal(err)
			}
			rules = Rules{bases}
		} else {
			rules = rulesOf(t, c.rules)
		}
		if got := rules.Redirected(p); got.Outcome != c.want || (got.Why == "") != (c.want == Passes) {
			t.Errorf("%s: %d %s, want %d", c.rules, got.Outcome, got.Why, c.want)
		}
	}
}

// The command of the remedy makes the packet pass: the rule that it adds is put where it says.
func TestRemedy(t *testing.T) {
	for rules, want := range map[string]string{
		"docker.save":   "iptables -I DOCKER-USER -s 10.79.0.11 -p tcp --sport 3307 -j ACCEPT (",
		"docker28.save": "iptables -I DOCKER-USER -s 10.79.0.11 -p tcp --sport 3307 -j ACCEPT (",
		"ufw.save":      "ufw route allow proto tcp from 10.79.0.11 port 3307",
		saved("DROP"):   "iptables -I FORWARD -s 10.79.0.11 -p tcp --sport 3307 -j ACCEPT (",
		saved("DROP", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"): "iptables -I FORWARD -s 10.79.0.11",
		strings.Replace(saved("DROP"), "*filter", "*mangle", 1):               "iptables -t mangle -I FORWARD -s 10.79.0.11",
		"firewalld.json": "sysctl -w net.ipv4.vs.conntrack=1, ",
	} {
		r := rulesOf(t, rules)
		v := r.Judge(answer)
		got := r.Remedy(answer, v)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", rules, got, want)
		}
		text := rules
		if strings.HasSuffix(rules, ".save") {
			text = recorded(t, rules)
		}
		rule := "-s 10.79.0.11/32 -p tcp -m tcp --sport 3307 -j ACCEPT\n"
		switch {
		case strings.Contains(got, "conntrack"):
			continue // in TestJudge
		case strings.Contains(got, "DOCKER-USER"):
			text = strings.Replace(text, "-A ", "-A DOCKER-USER "+rule+"-A ", 1)
		case strings.HasPrefix(got, "ufw"):
			text = strings.Replace(text, "COMMIT", "-A ufw-user-forward "+rule+"COMMIT", 1)
		default:
			text = strings.Replace(strings.Replace(text, "-A ", "-A FORWARD "+rule+"-A ", 1), "COMMIT", "-A FORWARD "+rule+"COMMIT", 1)
		}
		if after := rulesOf(t, text).Judge(answer); after.Outcome != Passes {
			t.Errorf("%s: after %s: %s\n%s", rules, got, after.Why, text)
		}
	}
}

// TestEnds: FIN and RST of a client are INVALID on a director, whatever accepts its other packets.
func TestEnds(t *testing.T) {
	balanced := Packet{Way: Incoming, In: "eth0", To: netip.MustParseAddrPort("10.77.0.100:3306"), Protocol: "tcp", Later: "NEW"}
	server, oneWay, udp := balanced, balanced, balanced
	server.Later, oneWay.Later, udp.Protocol = "", "INVALID", "udp"
	const (
		invalid = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate INVALID -j DROP\n-A INPUT -p tcp -m tcp --dport 3306 -j ACCEPT\nCOMMIT\n"
		before  = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 3306 -j ACCEPT\n-A INPUT -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
		states  = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 3306 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT\nCOMMIT\n"
		resets  = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --tcp-flags RST RST -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
		scans   = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP\n-A INPUT -p tcp -m tcp --tcp-flags FIN,RST FIN,RST -j DROP\nCOMMIT\n"
		exempt  = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.77.0.100/32 -p tcp -m tcp --dport 3306 -j NOTRACK\nCOMMIT\n"
	)
	for _, c := range []struct {
		packet Packet
		rules  string
		want   Outcome
		remedy string
	}{
		{balanced, invalid, Blocked, "iptables -I INPUT -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)"},
		{balanced, states, Blocked, "iptables -I INPUT -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)"},
		{balanced, "ufw-3306.save", Blocked, "iptables -t raw -I PREROUTING -d 10.77.0.100 -p tcp --dport 3306 -j NOTRACK (and in /etc/ufw/before.rules)"},
		{balanced, "firewalld-3306.json", Blocked, "firewall-cmd --permanent --direct --add-rule ipv4 raw PREROUTING 0 -p tcp -d 10.77.0.100 --dport 3306 -j NOTRACK && firewall-cmd --reload"},
		{balanced, before, Passes, ""},
		{balanced, exempt + invalid, Passes, ""},
		{balanced, exempt + states, Passes, ""},
		{balanced, scans, Passes, ""},
		{balanced, resets, Unclear, ""},
		{balanced, "docker28.save", Passes, ""},
		{server, invalid, Passes, ""},
		{oneWay, invalid, Passes, ""}, // Judge judges it
		{udp, invalid, Passes, ""},
	} {
		rules := rulesOf(t, c.rules)
		v := rules.Ends(c.packet)
		one := c.packet
		one.Later = "INVALID"
		if v.Outcome != c.want || c.remedy != "" && rules.Remedy(one, v) != c.remedy {
			t.Errorf("%s: %d %s: %s, want %d, %s", c.rules, v.Outcome, v.Why, rules.Remedy(one, v), c.want, c.remedy)
		}
	}
}

// TestRemedyOfClients: likewise for the packets of clients.
func TestRemedyOfClients(t *testing.T) {
	vip := Packet{Way: Incoming, In: "eth0", To: netip.MustParseAddrPort("10.77.0.100:3306"), Protocol: "tcp"}
	tunnel := Packet{Way: Incoming, In: "eth0", To: netip.MustParseAddrPort("10.77.0.11:0"), Protocol: "ipip"}
	oneWay := vip
	oneWay.Later = "INVALID"
	advert := Packet{Way: Incoming, In: "eth0", From: netip.MustParseAddrPort("10.77.0.3:0"), To: netip.MustParseAddrPort("224.0.0.18:0"), Protocol: "vrrp", Later: "NEW"}
	nft := `{"nftables":[{"chain":{"family":"inet","table":"f","name":"in","type":"filter","hook":"input","prio":0,"policy":"drop"}}]}`
	for _, c := range []struct {
		rules, want string
		packet      Packet
	}{
		{"ufw.save", "ufw allow proto tcp to 10.77.0.100 port 3306", vip},
		{"ufw.save", "ufw allow proto vrrp to 224.0.0.18", advert},
		{"firewalld-server.json", "firewall-cmd --permanent --add-protocol=vrrp && firewall-cmd --reload", advert},
		{nft, "nft insert rule inet f in ip saddr 10.77.0.3 ip daddr 224.0.0.18 meta l4proto 112 accept (and in the file of these rules)", advert},
		{"ufw-3306.save", "iptables -t raw -I PREROUTING -d 10.77.0.100 -p tcp --dport 3306 -j NOTRACK (and in /etc/ufw/before.rules)", oneWay},
		{"firewalld-server.json", "firewall-cmd --permanent --add-port=3306/tcp && firewall-cmd --reload", vip},
		{"firewalld-server.json", "firewall-cmd --permanent --add-protocol=ipencap && firewall-cmd --reload", tunnel},
		{"firewalld-3306.json", "firewall-cmd --permanent --direct --add-rule ipv4 raw PREROUTING 0 -p tcp -d 10.77.0.100 --dport 3306 -j NOTRACK && firewall-cmd --reload", oneWay},
		{"*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "iptables -I INPUT -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)", vip},
		{"*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "iptables -I INPUT -d 10.77.0.11 -p 4 -j ACCEPT (and in the file of these rules)", tunnel},
		{"*raw\n:PREROUTING DROP [0:0]\nCOMMIT\n", "iptables -t raw -I PREROUTING -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)", vip},
		{nft, "nft insert rule inet f in ip daddr 10.77.0.100 tcp dport 3306 accept (and in the file of these rules)", vip},
		{nft, "nft insert rule inet f in ip daddr 10.77.0.11 meta l4proto 4 accept (and in the file of these rules)", tunnel},
	} {
		rules := Rules{}
		if c.rules == nft {
			rules.Bases, _ = parseNFT([]byte(nft), "ip", func(string, string) bool { return false })
		} else {
			rules = rulesOf(t, c.rules)
		}
		v := rules.Judge(c.packet)
		if got := rules.Remedy(c.packet, v); v.Outcome != Blocked || got != c.want {
			t.Errorf("%s: %d, %s, want %s", c.rules, v.Outcome, got, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	const drop = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"
	none := `{"nftables":[{"metainfo":{}}]}`
	for name, c := range map[string]struct {
		legacy string
		nft    bool
		tools  map[string]string // output by command; "!" is a failure
		want   Outcome
		err    string
	}{
		"no rules: nothing is started":                  {"", false, nil, Passes, ""},
		"legacy":                                        {"nat\nfilter\n", false, map[string]string{"iptables-legacy-save": drop}, Blocked, ""},
		"legacy of an old distribution":                 {"filter\n", false, map[string]string{"iptables-save": drop}, Blocked, ""},
		"legacy without a tool":                         {"filter\n", false, nil, Passes, "the kernel has tables of iptables, which cannot be read: "},
		"legacy fails":                                  {"filter\n", false, map[string]string{"iptables-legacy-save": "!"}, Passes, "broken"},
		"iptables-nft":                                  {"", true, map[string]string{"iptables-nft-save": drop, "nft -j list ruleset": none}, Blocked, ""},
		"its table is not read twice":                   {"", true, map[string]string{"iptables-nft-save": strings.ReplaceAll(drop, "DROP", "ACCEPT"), "nft -j list ruleset": recorded(t, "docker.json")}, Passes, ""},
		"nft alone":                                     {"", true, map[string]string{"nft -j list ruleset": recorded(t, "firewalld.json")}, Blocked, ""},
		"both kinds, and one drops":                     {"filter\n", true, map[string]string{"iptables-legacy-save": drop, "iptables-nft-save": "", "nft -j list ruleset": recorded(t, "open.json")}, Blocked, ""},
		"iptables-nft without nft":                      {"", true, map[string]string{"iptables-nft-save": drop}, Blocked, ""},
		"nf_tables without a tool":                      {"", true, nil, Passes, "install the package nftables"},
		"nf_tables without a tool, and without a table": {"", true, nil, Passes, ""},
		"nft fails":                                     {"", true, map[string]string{"nft -j list ruleset": "!"}, Passes, "broken"},
		"nft prints something else":                     {"", true, map[string]string{"nft -j list ruleset": "{"}, Passes, "nft -j list ruleset: unexpected end"},
		"iptables-save prints something else":           {"filter\n", false, map[string]string{"iptables-legacy-save": "*filter\n-A FORWARD -j DROP\n"}, Passes, "is not understood: -A FORWARD -j DROP"},
	} {
		h := host{
			legacy: func() string { return c.legacy }, hasNFT: func() bool { return c.nft },
			tables: func() (bool, error) { return name != "nf_tables without a tool, and without a table", nil },
			run: func(argv ...string) ([]byte, error) {
				out, installed := c.tools[strings.Join(argv, " ")]
				switch {
				case !installed:
					return nil, fmt.Errorf("%s: %w", argv[0], exec.ErrNotFound)
				case out == "!":
					return nil, errors.New("broken")
				}
				return []byte(out), nil
			},
		}
		rules, err := read(kernel.IPv4, h)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %s", name, err, c.err)
			continue
		}
		if got := rules.Judge(answer); err == nil && got.Outcome != c.want {
			t.Errorf("%s: %d %s, want %d", name, got.Outcome, got.Why, c.want)
		}
	}
}

// No panic on any output.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"docker.save", "ufw.save"} {
		f.Add(recordedFor(f, name))
	}
	for _, name := range []string{"firewalld.json", "router.json"} {
		f.Add(recordedFor(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if bases, _, err := parseSave("iptables", text); err == nil {
			Rules{bases}.Judge(answer)
		}
		if bases, err := parseNFT([]byte(text), "ip", func(string, string) bool { return false }); err == nil {
			Rules{bases}.Judge(answer)
		}
	})
}

func recordedFor(f *testing.F, name string) string {
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}
