package firewall

import (
	"net/netip"
	"strings"
	"testing"
)

// packets of clients: to a process, to IPVS, and to IPVS with net.ipv4.vs.conntrack.
var (
	toProcess = Packet{Way: Incoming, In: "eth0", To: netip.MustParseAddrPort("10.77.0.100:3306"), Protocol: "tcp"}
	toIPVS    = func() Packet { p := toProcess; p.Later = "NEW"; return p }()
)

// input returns rules of the chain INPUT.
func input(policy string, rules ...string) string {
	text := "*filter\n:INPUT " + policy + " [0:0]\n:sub - [0:0]\n"
	for _, r := range rules {
		if !strings.HasPrefix(r, "-A") {
			r = "-A INPUT " + r
		}
		text += r + "\n"
	}
	return text + "COMMIT\n"
}

// nftInput returns rules of a chain of nft in the hook input, each a list of JSON statements.
func nftInput(policy string, objects []string, rules ...string) string {
	text := `{"nftables":[{"table":{"family":"inet","name":"f"}}`
	for _, o := range objects {
		text += "," + o
	}
	text += `,{"chain":{"family":"inet","table":"f","name":"in","type":"filter","hook":"input","prio":0,"policy":"` + policy + `"}}`
	for _, r := range rules {
		text += `,{"rule":{"family":"inet","table":"f","chain":"in","expr":[` + r + `]}}`
	}
	return text + "]}"
}

// TestJudgeRates: rules that stop packets only above a rate or a number, and lists of clients. Measured with IPVS on
// user-mode-linux and Debian's kernel by the scenarios TestLimits and TestRuleSets.
func TestJudgeRates(t *testing.T) {
	const port = "-p tcp -m tcp --dport 3306 "
	const fresh = port + "-m conntrack --ctstate NEW "
	const tcpFlags = `"left":{"&":[{"payload":{"protocol":"tcp","field":"flags"}},["fin","syn","rst","ack"]]}`
	const dport = `{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":3306}},`
	blacklist := []string{`{"set":{"family":"inet","table":"f","name":"list","type":"ipv4_addr","flags":["timeout"]}}`}
	portList := []string{`{"set":{"family":"inet","table":"f","name":"ports","type":"inet_service","elem":[22,{"elem":{"val":3306,"comment":"mysql"}}]}}`}
	verdicts := []string{`{"map":{"family":"inet","table":"f","name":"services","type":"inet_service","map":"verdict","elem":[[22,{"accept":null}],[3306,{"drop":null}]]}}`}
	for _, c := range []struct {
		rules         string
		process, ipvs Outcome
		why           string // of toIPVS
	}{
		// IPVS takes packets before connection tracking remembers their connection: ufw's rule counts each of them.
		{"ufw-limit.save", Limited, Blocked, "-A ufw-user-input -d 10.77.0.100/32 -p tcp -m tcp --dport 3306 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6"},
		{input("ACCEPT", fresh+"-m recent --set --name x --mask 255.255.255.255 --rsource", fresh+"-m recent --update --seconds 1 --hitcount 20 --name x --mask 255.255.255.255 --rsource -j DROP"), Limited, Limited, "--hitcount 20"},
		{input("DROP", fresh+"-m recent ! --update --seconds 1 --hitcount 20 --name x --rsource -j ACCEPT", "-m conntrack --ctstate ESTABLISHED -j ACCEPT"), Limited, Limited, "--hitcount 20"},
		{input("ACCEPT", port+"-m recent --update --seconds 5 --name x --rsource -j DROP"), Blocked, Blocked, "--seconds 5"},
		{input("ACCEPT", "-m recent --rcheck --name bad --rsource -j DROP"), Passes, Passes, ""},
		{input("DROP", port+"-m recent --rcheck --seconds 30 --name knocked --rsource -j ACCEPT"), Passes, Passes, ""},
		{input("ACCEPT", "-m recent --remove --name x --rsource -j DROP"), Passes, Passes, ""},
		{input("ACCEPT", port+"-m recent --set --name x --rsource -j DROP"), Blocked, Blocked, "--set"},
		{input("ACCEPT", "-p udp -m recent --update --seconds 60 --hitcount 4 --name x --rsource -j DROP"), Passes, Passes, ""},

		{input("ACCEPT", fresh+"-m hashlimit --hashlimit-above 10/sec --hashlimit-burst 20 --hashlimit-mode srcip --hashlimit-name x -j DROP"), Limited, Limited, "--hashlimit-above"},
		{input("ACCEPT", fresh+"-m hashlimit --hashlimit-above 10/min --hashlimit-mode srcip --hashlimit-name x -j DROP"), Limited, Blocked, "--hashlimit-above"},
		{input("DROP", fresh+"-m hashlimit --hashlimit-upto 10/min --hashlimit-mode srcip --hashlimit-name x -j ACCEPT", "-m conntrack --ctstate ESTABLISHED -j ACCEPT"), Limited, Blocked, "--hashlimit-upto"},
		{input("ACCEPT", port+"-m hashlimit --hashlimit-above 512kb/s --hashlimit-mode srcip --hashlimit-name x -j DROP"), Limited, Limited, "512kb/s"},
		{input("ACCEPT", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j sub", "-A sub -m limit --limit 1/sec --limit-burst 3 -j RETURN", "-A sub -j DROP"), Limited, Limited, "-A sub -m limit"},
		{input("DROP", port+"-m limit --limit 30/min --limit-burst 100 -j ACCEPT"), Blocked, Blocked, "--limit 30/min"},
		{input("ACCEPT", fresh+"-m connlimit --connlimit-above 20 --connlimit-mask 32 --connlimit-saddr -j REJECT --reject-with icmp-port-unreachable"), Limited, Limited, "--connlimit-above 20"},
		{input("DROP", port+"-m connlimit --connlimit-upto 20 --connlimit-mask 32 --connlimit-saddr -j ACCEPT"), Limited, Limited, "--connlimit-upto 20"},
		{input("ACCEPT", "-m limit --limit 3/min -j LOG", port+"-j ACCEPT"), Passes, Passes, ""},
		{input("ACCEPT", fresh+"-m mark --mark 0x1 -m limit --limit 3/min -j DROP"), Unclear, Unclear, "--mark"},

		// Lists of clients, and packets that no ordinary client sends.
		{input("ACCEPT", "-m set --match-set bad src -j DROP", "-m iprange --src-range 192.0.2.1-192.0.2.9 -j DROP", "-m mac --mac-source 02:00:00:00:00:01 -j DROP"), Passes, Passes, ""},
		{input("ACCEPT", "-m set --match-set bad dst -j DROP"), Unclear, Unclear, "--match-set bad dst"},
		{input("ACCEPT", "-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP"), Passes, Passes, ""},
		{input("ACCEPT", "-p tcp -m tcp --tcp-flags ACK ACK -j DROP"), Unclear, Unclear, "--tcp-flags ACK ACK"},
		{input("ACCEPT", "-p tcp -m u32 --u32 0x0=0x0 -j DROP"), Unclear, Unclear, "u32"},

		// The same in nft.
		{nftInput("accept", nil, dport+`{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"new"}},{"limit":{"rate":10,"burst":5,"per":"minute","inv":true}},{"drop":null}`), Limited, Blocked, `"limit"`},
		{nftInput("accept", nil, dport+`{"limit":{"rate":100,"burst":5,"per":"second","inv":true}},{"drop":null}`), Limited, Limited, `"limit"`},
		{nftInput("accept", nil, dport+`{"limit":{"rate":1,"rate_unit":"mbytes","per":"second","inv":true}},{"drop":null}`), Limited, Limited, `"limit"`},
		{nftInput("drop", nil, dport+`{"limit":{"rate":100,"burst":5,"per":"second"}},{"accept":null}`), Limited, Limited, `"limit"`},
		{nftInput("accept", nil, dport+`{"limit":"named"},{"drop":null}`), Unclear, Unclear, `"named"`},
		{nftInput("accept", nil, dport+`{"ct count":{"val":20,"inv":true}},{"reject":null}`), Limited, Limited, `"ct count"`},
		{nftInput("accept", blacklist, dport+`{"set":{"op":"add","elem":{"payload":{"protocol":"ip","field":"saddr"}},"set":"@list","stmt":[{"limit":{"rate":100,"burst":5,"per":"second","inv":true}}]}},{"drop":null}`), Limited, Limited, `"limit"`},
		{nftInput("accept", nil, dport+`{"meter":{"key":{"payload":{"protocol":"ip","field":"saddr"}},"stmt":{"limit":{"rate":100,"per":"second","inv":true}},"size":100,"name":"m"}},{"drop":null}`), Limited, Limited, `"limit"`},
		{nftInput("accept", blacklist, `{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"@list"}},{"drop":null}`), Passes, Passes, ""},
		{nftInput("drop", portList, `{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":"@ports"}},{"accept":null}`), Passes, Passes, ""},
		{nftInput("drop", portList, `{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":"@others"}},{"accept":null}`), Unclear, Unclear, "policy DROP"},
		{nftInput("accept", verdicts, `{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":"@services"}}`), Blocked, Blocked, `"vmap"`},
		{nftInput("accept", nil, `{"match":{"op":"==",`+tcpFlags+`,"right":["fin","syn"]}},{"drop":null}`), Passes, Passes, ""},
		{nftInput("accept", nil, `{"match":{"op":"!=",`+tcpFlags+`,"right":"syn"}},{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"new"}},{"drop":null}`), Passes, Blocked, `"flags"`},
		{nftInput("accept", nil, `{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"flags"}},"right":"syn"}},{"drop":null}`), Blocked, Blocked, `"flags"`},
		{nftInput("accept", nil, `{"match":{"op":"in","left":{"payload":{"protocol":"tcp","field":"flags"}},"right":["syn","ack"]}},{"drop":null}`), Blocked, Blocked, `"flags"`},
	} {
		rules := Rules{}
		if strings.HasPrefix(c.rules, "{") {
			var err error
			if rules.Bases, err = parseNFT([]byte(c.rules), "ip", func(string, string) bool { return false }); err != nil {
				t.Fatalf("%s: %v", c.rules, err)
			}
		} else {
			rules = rulesOf(t, c.rules)
		}
		if got := rules.Judge(toProcess); got.Outcome != c.process {
			t.Errorf("%s\nto a process: %d %s, want %d", c.rules, got.Outcome, got.Why, c.process)
		}
		got := rules.Judge(toIPVS)
		if got.Outcome != c.ipvs || !strings.Contains(got.Why, c.why) || (got.Why == "") != (c.ipvs == Passes) {
			t.Errorf("%s\nto IPVS: %d %s, want %d %s", c.rules, got.Outcome, got.Why, c.ipvs, c.why)
		}
		if got.Outcome == Limited || got.Outcome == Blocked {
			if rules.Remedy(toIPVS, got) == "" {
				t.Errorf("%s: no remedy", c.rules)
			}
		}
	}
}
