package director

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// natFile has the clients on eth0 and the real servers on eth1.
var natFile = electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "nat", "10.78.0.11", "10.78.0.12")

// placedFile has a VIP on an interface other than that of the instance.
var placedFile = strings.Replace(codesFile, "virtual_addresses: [", "address_options: [{address: "+vip+", interface: eth1}], virtual_addresses: [", 1)

// filterForward sets the policy and the rules of the chain FORWARD.
func (k *fakeKernel) filterForward(policy string, rules ...string) {
	k.filterChain("FORWARD", policy, rules...)
}

// filterChain sets the policy and the rules of a chain, which has the only ones.
func (k *fakeKernel) filterChain(chain, policy string, rules ...string) {
	text := "*filter\n:" + chain + " " + policy + " [0:0]\n"
	for _, r := range rules {
		text += "-A " + chain + " " + r + "\n"
	}
	k.save(text + "COMMIT\n")
}

// save sets all rules.
func (k *fakeKernel) save(text string) {
	parsed, err := firewall.ParseSave("iptables", text)
	if err != nil {
		panic(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rules = parsed
}

func (k *fakeKernel) set(key, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sysctls[key] = value
}

func (k *fakeKernel) divert(diverted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.diverted = diverted
}

func (k *fakeKernel) leaveBy(iface string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.route = iface
}

// hasLocally is a machine whose agent has added a VIP, before the start.
func (n *node) hasLocally(vip string) {
	n.links = append(n.links, kernel.Link{Index: 1, Name: "lo", Up: true, Carrier: true, Loopback: true})
	n.foreign("lo", vip+"/32", true)
}

func answersCases() []codesCase {
	nat := func(code problem.Code, fault string, breaks, mends func(n *node)) codesCase {
		return codesCase{File: natFile, Case: problemtest.Case[*node]{Code: code, Subject: "mysql", Fault: fault, Break: breaks, Mend: mends}}
	}
	dual := strings.Replace(codesFile, two, "10.77.0.3", 1)
	return []codesCase{
		{On: "BACKUP", Case: problemtest.Case[*node]{
			Code: problem.LocalVIPMissing, Subject: "a",
			Break: func(n *node) { n.reload(strings.Replace(dual, one, "10.77.0.2", 1)) }, Mend: func(n *node) { n.reload(codesFile) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.DirectorIsRealServer, Subject: "mysql", Fault: "tunnel",
			Break: func(n *node) { n.reload(strings.Replace(dual, "forward: dr", "forward: tun", 1)) }, Mend: func(n *node) { n.reload(codesFile) },
		}},
		{Before: func(n *node) {
			n.save("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.77.0.100/32 -p tcp -j MARK --set-xmark 0x5/0xffffffff\nCOMMIT\n")
		}, Case: problemtest.Case[*node]{
			Code: problem.DirectorIsRealServer, Subject: "mysql", Fault: "marking: none",
			Break: func(n *node) {
				n.reload(strings.NewReplacer("address: "+vip+", port: 3306", "fwmark: 5, marking: none", "{type: tcp,", "{type: tcp, port: 3306,").Replace(dual))
			}, Mend: func(n *node) { n.reload(codesFile) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.DirectorIsRealServer, Subject: "mysql", Fault: "no nf_tables",
			Break: func(n *node) {
				n.refuse("nft mark", errors.New("no nf_tables"))
				n.reload(strings.Replace(dual, one, "10.77.0.2", 1))
			}, Mend: func(n *node) { n.refuse("nft mark", nil); n.reload(codesFile) },
		}},
		{On: "BACKUP", File: strings.Replace(dual, one, "10.77.0.2", 1), Before: func(n *node) { n.hasLocally(vip) }, Case: problemtest.Case[*node]{
			Code: problem.DirectorIsRealServer, Subject: "mysql", Fault: "an unknown MASTER",
			Break: func(n *node) { n.knowsDirectors(false, nil) },
			Mend:  func(n *node) { n.knowsDirectors(true, nil) },
		}},
		{File: strings.Replace(dual, one, "10.77.0.2", 1), Before: func(n *node) { n.hasLocally(vip) }, Case: problemtest.Case[*node]{
			Code: problem.DirectorIsRealServer, Subject: "mysql", Fault: "neighbours cannot be read",
			Break: func(n *node) { n.knowsDirectors(false, errors.New("the neighbours (ip neigh): no memory")) },
			Mend:  func(n *node) { n.knowsDirectors(true, nil) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.ClientsBlocked, Subject: "mysql", Fault: "policy DROP",
			Break: func(n *node) {
				n.filterChain("INPUT", "DROP", "-p 112 -j ACCEPT", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
			},
			Mend: func(n *node) {
				n.filterChain("INPUT", "DROP", "-p 112 -j ACCEPT", "-d 10.77.0.100/32 -p tcp -m tcp --dport 3306 -j ACCEPT")
			},
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.AdvertsBlocked, Subject: "a", Fault: "policy DROP",
			Break: func(n *node) { n.filterChain("INPUT", "DROP", "-p tcp -j ACCEPT") },
			Mend: func(n *node) {
				n.filterChain("INPUT", "DROP", "-p tcp -j ACCEPT", "-d 224.0.0.18/32 -p vrrp -j ACCEPT")
			},
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.AdvertsBlocked, Subject: "a", Fault: "those of another address are accepted",
			Break: func(n *node) {
				n.filterChain("INPUT", "ACCEPT", "-s 10.77.0.9/32 -p vrrp -j ACCEPT", "-p vrrp -j DROP")
			},
			Mend: func(n *node) {
				n.filterChain("INPUT", "ACCEPT", "-s 10.77.0.3/32 -p vrrp -j ACCEPT", "-p vrrp -j DROP")
			},
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.ClientsLimited, Subject: "mysql",
			Break: func(n *node) {
				n.filterChain("INPUT", "ACCEPT", "-p tcp -m tcp --dport 3306 -m hashlimit --hashlimit-above 100/sec --hashlimit-mode srcip --hashlimit-name x -j DROP")
			},
			Mend: func(n *node) { n.filterChain("INPUT", "ACCEPT") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.EndsBlocked, Subject: "mysql",
			Break: func(n *node) { n.filterChain("INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP") },
			Mend:  func(n *node) { n.filterChain("INPUT", "ACCEPT") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.ClientsUnclear, Subject: "mysql", Fault: "a rule that cannot be judged",
			Break: func(n *node) { n.filterChain("INPUT", "DROP", "-p 112 -j ACCEPT", "-m mark --mark 0x1 -j ACCEPT") },
			Mend:  func(n *node) { n.filterChain("INPUT", "ACCEPT") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.ClientsUnclear, Subject: "mysql", Fault: "rules that cannot be read",
			Break: func(n *node) { n.refuse("firewall", errors.New("install the package nftables")) }, Mend: func(n *node) { n.refuse("firewall", nil) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.ClientsBlocked, Subject: "mysql", Fault: "drop_packet",
			Break: func(n *node) { n.set("net/ipv4/vs/drop_packet", "3") }, Mend: func(n *node) { n.set("net/ipv4/vs/drop_packet", "1") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.VIPNotReached, Subject: "a", Fault: "arp_ignore",
			Break: func(n *node) { n.set("net/ipv4/conf/eth0/arp_ignore", "8") }, Mend: func(n *node) { n.set("net/ipv4/conf/eth0/arp_ignore", "1") },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.VIPNotReached, Subject: "a", Fault: "not delivered",
			Break: func(n *node) { n.divert(true) }, Mend: func(n *node) { n.divert(false) },
		}},
		{File: placedFile, Case: problemtest.Case[*node]{
			Code: problem.VIPNotReached, Subject: "a", Fault: "arp_ignore of the VIP's own interface",
			Break: func(n *node) { n.set("net/ipv4/conf/eth1/arp_ignore", "8") }, Mend: func(n *node) { n.set("net/ipv4/conf/eth1/arp_ignore", "1") },
		}},
		{On: "MASTER", File: placedFile, Case: problemtest.Case[*node]{
			Code: problem.VIPNotReached, Subject: "a", Fault: "not delivered on the VIP's own interface",
			Break: func(n *node) { n.divert(true) }, Mend: func(n *node) { n.divert(false) },
		}},
		nat(problem.AnswersBlocked, "policy DROP", func(n *node) { n.filterForward("DROP") }, func(n *node) {
			n.filterForward("DROP", "-s 10.78.0.11/32 -p tcp -m tcp --sport 3306 -j ACCEPT", "-s 10.78.0.12/32 -p tcp -m tcp --sport 3306 -j ACCEPT")
		}),
		nat(problem.AnswersBlocked, "forwarding is off on the interface",
			func(n *node) { n.set("net/ipv4/conf/eth1/forwarding", "0") }, func(n *node) { n.set("net/ipv4/conf/eth1/forwarding", "1") }),
		unforwarded(),
		nat(problem.AnswersBlocked, "reverse path filtering",
			func(n *node) { n.set("net/ipv4/conf/all/rp_filter", "1"); n.leaveBy("eth0") },
			func(n *node) { n.set("net/ipv4/conf/eth1/rp_filter", "2") }),
		nat(problem.AnswersUnclear, "a rule that cannot be judged",
			func(n *node) { n.filterForward("ACCEPT", "-m set --match-set bad src -j DROP") }, func(n *node) { n.filterForward("ACCEPT") }),
		nat(problem.AnswersLimited, "",
			func(n *node) {
				n.filterForward("DROP", "-p tcp -m limit --limit 1000/sec -j ACCEPT")
			}, func(n *node) { n.filterForward("ACCEPT") }),
		{File: natFile, Case: problemtest.Case[*node]{
			Code: problem.AnswersUnclear, Subject: "mysql", Fault: "rules that cannot be read", Beside: []problem.Code{problem.ClientsUnclear},
			Break: func(n *node) { n.refuse("firewall", errors.New("install the package nftables")) }, Mend: func(n *node) { n.refuse("firewall", nil) },
		}},
	}
}

// unforwarded: ip_forward is 0 and cannot be set, which is an outage and not only a sysctl that differs.
func unforwarded() codesCase {
	return codesCase{File: natFile, Case: problemtest.Case[*node]{
		Code: problem.AnswersBlocked, Subject: "mysql", Fault: "ip_forward cannot be set", Beside: []problem.Code{problem.SysctlsWrong},
		Break: func(n *node) { n.refuse("sysctl", errors.New("read-only")); n.set("net/ipv4/ip_forward", "0") },
		Mend:  func(n *node) { n.refuse("sysctl", nil) },
	}}
}

// TestAnswers: the problem names the real servers concerned, the reason and the command.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		before func(m *machine)
		want   string // text and remedy; "": no problem
	}{
		"accepted": {natFile, func(m *machine) { m.filterForward("ACCEPT") }, ""},
		"dropped": {
			natFile, func(m *machine) { m.filterForward("DROP") },
			"mysql: answers of mysql1: the packet filter of this host drops them: iptables, table filter, chain FORWARD: policy DROP (and 1 more)" +
				" | iptables -I FORWARD -s 10.78.0.11 -p tcp --sport 3306 -j ACCEPT (and in the file of these rules); likewise for the other real servers",
		},
		"one of them": {
			natFile, func(m *machine) { m.filterForward("DROP", "-s 10.78.0.11/32 -j ACCEPT") },
			"mysql: answers of mysql2: the packet filter of this host drops them: iptables, table filter, chain FORWARD: policy DROP" +
				" | iptables -I FORWARD -s 10.78.0.12 -p tcp --sport 3306 -j ACCEPT (and in the file of these rules)",
		},
		"only established connections": {natFile, func(m *machine) {
			m.filterForward("DROP", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
			m.set("net/ipv4/vs/conntrack", "1")
		}, ""},
		"forwarding": {
			natFile, func(m *machine) { m.set("net/ipv4/conf/eth1/forwarding", "0") },
			"mysql: answers of mysql1, mysql2: net.ipv4.conf.eth1.forwarding is 0: this host does not forward them | sysctl -w net.ipv4.conf.eth1.forwarding=1",
		},
		"reverse path": {
			natFile, func(m *machine) { m.set("net/ipv4/conf/eth1/rp_filter", "1"); m.leaveBy("eth0") },
			"mysql: answers of mysql1: reverse path filtering on eth1 drops them, because the route to 10.78.0.11 leaves by eth0 (and 1 more)" +
				" | correct the route, or sysctl -w net.ipv4.conf.eth1.rp_filter=2; likewise for the other real servers",
		},
		"strict, and the route is right": {natFile, func(m *machine) { m.set("net/ipv4/conf/eth1/rp_filter", "1") }, ""},
		"not known": {
			natFile, func(m *machine) { m.filterForward("ACCEPT", "-j NFQUEUE --queue-num 0") },
			"mysql: answers of mysql1, mysql2: cannot tell whether the packet filter of this host drops them: iptables, table filter, chain FORWARD: -A FORWARD -j NFQUEUE --queue-num 0" +
				" | try it from a client: nc -vz 10.77.0.100 3306 (it says open if the answers pass)",
		},
		"clients": {
			natFile, func(m *machine) {
				m.filterChain("INPUT", "DROP", "-p 112 -j ACCEPT", "-i lo -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT", "-m conntrack --ctstate ESTABLISHED -j ACCEPT")
			},
			"mysql: the packet filter of this host drops the packets of clients: iptables, table filter, chain INPUT: policy DROP" +
				" | iptables -I INPUT -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)",
		},
		"connection tracking sees one direction": {
			strings.ReplaceAll(natFile, "forward: nat", "forward: dr"), func(m *machine) {
				m.set("net/ipv4/vs/conntrack", "1")
				m.filterChain("INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP")
			},
			"mysql: the packet filter of this host drops the packets of clients: iptables, table filter, chain INPUT: -A INPUT -m conntrack --ctstate INVALID -j DROP" +
				" | iptables -I INPUT -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)",
		},
		"and both, with nat": {natFile, func(m *machine) {
			m.set("net/ipv4/vs/conntrack", "1")
			m.filterChain("INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP")
		}, ""},
		"and takes up connections": {natFile, func(m *machine) {
			m.set("net/netfilter/nf_conntrack_tcp_loose", "1")
			m.filterChain("INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP")
		}, "mysql: the packet filter of this host drops the packets with which clients end connections, so the real servers keep these: iptables, table filter, chain INPUT: -A INPUT -m conntrack --ctstate INVALID -j DROP" +
			" | sysctl -w net.ipv4.vs.conntrack=1, so that connection tracking knows the connections of clients (and in /etc/sysctl.d)"},
		"and does not": {
			natFile, func(m *machine) {
				m.set("net/netfilter/nf_conntrack_tcp_loose", "0")
				m.filterChain("INPUT", "ACCEPT", "-m conntrack --ctstate INVALID -j DROP")
			},
			"mysql: the packet filter of this host drops the packets of clients: iptables, table filter, chain INPUT: -A INPUT -m conntrack --ctstate INVALID -j DROP" +
				" | iptables -I INPUT -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)",
		},
		"on the way to the servers": {
			natFile, func(m *machine) {
				m.filterChain("OUTPUT", "ACCEPT", "-d 10.78.0.12/32 -p tcp -m tcp --dport 3306 -j DROP")
			},
			"mysql: the packet filter of this host drops the packets of clients on their way to mysql2: iptables, table filter, chain OUTPUT: -A OUTPUT -d 10.78.0.12/32 -p tcp -m tcp --dport 3306 -j DROP" +
				" | iptables -I OUTPUT -d 10.78.0.12 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)",
		},
		"on the way, untracked": {
			strings.ReplaceAll(natFile, "forward: nat", "forward: dr"), func(m *machine) {
				m.filterChain("OUTPUT", "DROP", "-m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT")
			},
			"mysql: the packet filter of this host drops the packets of clients on their way to mysql1: iptables, table filter, chain OUTPUT: policy DROP" +
				" | iptables -I OUTPUT -d 10.77.0.100 -p tcp --dport 3306 -j ACCEPT (and in the file of these rules)",
		},
		"sent elsewhere": {
			natFile, func(m *machine) {
				m.save("*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n" +
					"-A DOCKER ! -i docker0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination 172.17.0.2:3306\nCOMMIT\n")
			},
			"mysql: a rule of this host sends the packets of clients elsewhere before IPVS sees them: iptables, table nat, chain DOCKER: -A DOCKER ! -i docker0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination 172.17.0.2:3306" +
				" | exempt the VIP 10.77.0.100 from this rule, or delete it",
		},
		"some clients": {natFile, func(m *machine) {
			m.filterChain("INPUT", "DROP", "-p 112 -j ACCEPT", "-s 10.77.0.0/24 -i eth0 -p tcp -m tcp --dport 3306 -j ACCEPT")
		}, ""},
		"direct routing": {strings.ReplaceAll(natFile, "forward: nat", "forward: dr"), func(m *machine) { m.filterForward("DROP") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				c.before(m)
				m.start(c.file)
				m.pass(4 * time.Second)
				var got []string
				for _, p := range m.Status().ProblemDetails {
					got = append(got, fmt.Sprintf("%s | %s", p.Text, p.Remedy))
				}
				if text := strings.Join(got, "\n"); text != c.want {
					t.Errorf("%s\nwant\n%s", text, c.want)
				}
			})
		})
	}
}

func TestAnswersOfEachVirtualServer(t *testing.T) {
	file := electing + router("a", "eth0", 51, vip) + virtualServers
	for n := range 3 {
		file += strings.Replace(balancing(fmt.Sprintf("s%d", n), vip, "nat", "10.78.0.11"), "port: 3306", fmt.Sprintf("port: %d", 3306+n), 1)
	}
	world(t, func(t *testing.T, m *machine) {
		m.filterForward("DROP")
		m.start(file)
		if found := m.loops.Load().answers.Findings(); len(found) != 3 || found[2].Subject != "s2" {
			t.Errorf("%v", found)
		}
	})
}
