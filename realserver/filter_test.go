package realserver

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// docker are the rules with which docker publishes port 3306 of a container.
const docker = `*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination 172.17.0.2:3306
COMMIT
`

// inputs are rules of the chain INPUT with the policy DROP.
func inputs(rules ...string) string {
	text := "*filter\n:INPUT DROP [0:0]\n"
	for _, r := range rules {
		text += "-A INPUT " + r + "\n"
	}
	return text + "COMMIT\n"
}

// filtersBy replaces the packet filter rules.
func (m *machine) filtersBy(saved string) {
	rules, err := firewall.ParseSave("iptables", saved)
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = rules
}

func (m *machine) divert(diverted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.diverted = diverted
}

func filterCases() []codesCase {
	return []codesCase{
		{Case: problemtest.Case[*machine]{
			Code: problem.NotServing, Subject: "dr", Fault: "packets are not delivered",
			Break: func(m *machine) { m.divert(true) }, Mend: func(m *machine) { m.divert(false) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.ServiceBlocked, Subject: "dr",
			Break: func(m *machine) { m.filtersBy(inputs("-p tcp -m tcp --dport 22 -j ACCEPT")) },
			Mend:  func(m *machine) { m.filtersBy(inputs("-p tcp -m tcp --dport 3306 -j ACCEPT")) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.ServiceLimited, Subject: "dr",
			Break: func(m *machine) {
				m.filtersBy(inputs("-p tcp -m tcp --dport 3306 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 --name x --rsource -j REJECT", "-p tcp -m tcp --dport 3306 -j ACCEPT"))
			},
			Mend: func(m *machine) { m.filtersBy(inputs("-p tcp -m tcp --dport 3306 -j ACCEPT")) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.ServiceUnclear, Subject: "dr", Fault: "a rule that cannot be judged",
			Break: func(m *machine) { m.filtersBy(inputs("-m mark --mark 0x1 -j ACCEPT")) },
			Mend:  func(m *machine) { m.filtersBy(inputs("-p tcp -m tcp --dport 3306 -j ACCEPT")) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.ServiceUnclear, Subject: "dr", Fault: "rules that cannot be read",
			Break: func(m *machine) { m.failing("firewall", errors.New("install the package nftables")) },
			Mend:  func(m *machine) { m.failing("firewall", nil) },
		}},
		{Case: problemtest.Case[*machine]{
			Code: problem.ListeningUnclear, Subject: "dr",
			Break: func(m *machine) {
				m.filtersBy(strings.Replace(docker, "-p tcp", "-m mark --mark 0x1 -p tcp", 1))
				m.listensOn()
			},
			Mend: func(m *machine) { m.filtersBy(docker) },
		}},
	}
}

// TestFilterOfARealServer: what the rules of a real server mean for a service that listens, or that nothing listens for.
func TestFilterOfARealServer(t *testing.T) {
	const passes = "-p tcp -m tcp --dport 3306 -j ACCEPT"
	for name, c := range map[string]struct {
		forward config.Forward
		rules   string
		listens bool
		want    string // the problems
		text    string
	}{
		"published by docker":             {config.DR, docker, false, "", ""},
		"published on another address":    {config.DR, strings.Replace(docker, "-p tcp", "-d "+rip+"/32 -p tcp", 1), false, "CRITICAL not_listening dr", "nothing listens on 10.77.0.100:3306: clients are refused: start the service"},
		"published on the VIP":            {config.DR, strings.Replace(docker, "-p tcp", "-d "+vip+"/32 -p tcp", 1), false, "", ""},
		"another port":                    {config.DR, strings.Replace(docker, "dport 3306", "dport 3307", 1), false, "CRITICAL not_listening dr", ""},
		"published, in a tunnel":          {config.TUN, docker, false, "", ""},
		"published, nat":                  {config.NAT, docker, false, "", ""},
		"redirected":                      {config.DR, "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d " + vip + "/32 -p tcp -m tcp --dport 3306 -j REDIRECT --to-ports 3307\nCOMMIT\n", false, "", ""},
		"transparent proxy":               {config.DR, "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 3306 -j TPROXY --on-port 3307\nCOMMIT\n", false, "", ""},
		"published, and its port blocked": {config.DR, docker + inputs(), false, "", ""}, // it goes through FORWARD
		"for some clients":                {config.DR, strings.Replace(docker, "-p tcp", "-s 10.0.0.0/8 -p tcp", 1), false, "", ""},
		"accepted":                        {config.DR, inputs(passes), true, "", ""},
		"blocked":                         {config.DR, inputs("-i lo -j ACCEPT"), true, "CRITICAL service_blocked dr", "dr: the packet filter of this machine drops the packets of clients: iptables, table filter, chain INPUT: policy DROP"},
		"only the own address":            {config.DR, inputs("-d " + rip + "/32 " + passes), true, "CRITICAL service_blocked dr", ""},
		"the own address, nat":            {config.NAT, inputs("-d " + rip + "/32 " + passes), true, "", ""},
		"a tunnel without its protocol":   {config.TUN, inputs(passes), true, "CRITICAL service_blocked tun", ""},
		"a tunnel with its protocol":      {config.TUN, inputs("-s 10.77.0.2/32 -p ipencap -j ACCEPT", passes), true, "", ""},
		"a rule that cannot be judged":    {config.DR, inputs("-m set --match-set clients src -j ACCEPT"), true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, lo, eth0, tunl0)
				m.leadThrough("10.78.0.1")
				m.filtersBy(c.rules)
				if !c.listens {
					m.listensOn()
				}
				m.start(cluster(c.forward))
				m.pass(2 * filterEvery)
				s := m.agent.Snapshot()
				if got := m.problemCodes(); got != c.want || (s.VirtualServers[0].State == "up") != (c.want == "") {
					t.Errorf("%q, %+v", got, s.VirtualServers[0])
				}
				if c.text != "" && !strings.Contains(s.ProblemDetails[0].Text, c.text) {
					t.Errorf("%s", s.ProblemDetails[0].Text)
				}
				_ = m.stop()
			})
		})
	}
}

// TestFilterThatCannotBeRead: then it is not known whether a service without a socket is published by rules.
func TestFilterThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.failing("firewall", errors.New("install the package nftables"))
		m.start(cluster(config.DR))
		m.pass(time.Minute)
		if got := m.problemCodes(); got != "WARNING service_unclear dr" {
			t.Errorf("a service that listens: %s", got)
		}
		m.listensOn()
		m.pass(5 * time.Second)
		if got := m.problemCodes(); got != "WARNING listening_unclear dr" || m.agent.Snapshot().VirtualServers[0].State != "up" {
			t.Errorf("one that does not: %s", got)
		}
		m.failing("firewall", nil)
		m.pass(2 * filterEvery)
		if got := m.problemCodes(); got != "CRITICAL not_listening dr" {
			t.Errorf("and can be read: %s", got)
		}
		_ = m.stop()
	})
}
