package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// served is which connections of a client are answered, of one every 10 ms.
type served int

const (
	none served = iota
	some
	all
)

// serves judges which connections are answered. Those of the first 300 ms are left out, in which a limit is reached.
func (c *cluster) serves(t *testing.T, rules string, want served) {
	t.Helper()
	m := measure.Start(c.client, vipPort, measure.Options{})
	time.Sleep(300 * time.Millisecond)
	begun := time.Now()
	time.Sleep(time.Second)
	r := m.Stop()
	r.Attempts = slices.DeleteFunc(r.Attempts, func(a measure.Attempt) bool { return a.Start.Before(begun) })
	got := some
	switch {
	case len(r.AnsweredBy()) == 0:
		got = none
	case r.Failed() == 0:
		got = all
	}
	if got != want {
		t.Errorf("%s: served %d, want %d: %s", rules, got, want, r)
	}
}

// TestLimits: rules that stop packets only above a rate. What a client measures is what the status says: rules that count
// the packets of a connection, as ufw's limit does with IPVS, serve nobody.
//
// Proves docs/operations.md: "Rules that drop packets only above a rate or a number are the warning `clients_limited`"
func TestLimits(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	const fresh = "-p tcp --dport 3306 -m conntrack --ctstate NEW "
	for _, way := range []struct {
		rules []string
		code  int
		want  string // of the status
		serve served
	}{
		{[]string{fresh + "-m recent --set --name u", fresh + "-m recent --update --seconds 30 --hitcount 6 --name u -j REJECT"}, 2, "mysql: the packet filter of this host drops the packets of clients: iptables", none},
		{[]string{fresh + "-m hashlimit --hashlimit-above 20/min --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name h -j DROP"}, 2, "drops the packets of clients: iptables", none},
		{[]string{"-p tcp --syn --dport 3306 -m hashlimit --hashlimit-above 50/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name i -j DROP"}, 1, "drops packets of clients above a limit: iptables", some},
		{[]string{fresh + "-m hashlimit --hashlimit-above 9000/sec --hashlimit-burst 9000 --hashlimit-mode srcip --hashlimit-name j -j DROP"}, 1, "drops packets of clients above a limit: iptables", all},
		{[]string{"-p tcp --syn --dport 3306 -m limit --limit 20/sec --limit-burst 3 -j ACCEPT", "-p tcp --syn --dport 3306 -j DROP"}, 1, "-m limit --limit 20/sec", some},
		{[]string{"-p tcp --syn --dport 3306 -m connlimit --connlimit-above 1000 -j REJECT"}, 1, "--connlimit-above 1000", all},
		{[]string{"-p tcp --dport 3306 -m mark --mark 0x1 -j DROP"}, 1, "cannot tell whether the packet filter of this host drops the packets of clients: iptables", all},
		{[]string{"-m recent --rcheck --name bad -j DROP", "-p tcp --tcp-flags FIN,SYN FIN,SYN -j DROP", "-m limit --limit 3/min -j LOG"}, 0, "OK", all},
	} {
		for _, rule := range way.rules {
			c.master.Run(append([]string{"iptables", "-A", "INPUT"}, strings.Fields(rule)...)...)
		}
		c.master.checks(way.code, way.want)
		c.serves(t, way.rules[0], way.serve)
		code := map[int]problem.Code{1: problem.ClientsLimited, 2: problem.ClientsBlocked}[way.code]
		if code != "" && !strings.Contains(way.want, "cannot tell") {
			c.master.remedy(code)
			c.master.checks(0, "OK")
			c.serves(t, "after the remedy: "+way.rules[0], all)
		}
		c.master.Run("iptables", "-F", "INPUT")
		c.master.checks(0, "OK")
	}
	c.limitsOfARealServer(t, fresh)
}

// limitsOfARealServer: there connection tracking knows a client's connection, so ufw's limit counts connections.
func (c *cluster) limitsOfARealServer(t *testing.T, fresh string) {
	t.Helper()
	c.mysql2.Run("iptables", "-A", "INPUT", "-d", "10.77.0.100", "-j", "DROP")
	c.mysql2.checks(2, "drops the packets of clients")
	c.mysql2.Run("iptables", "-F", "INPUT")
	c.mysql2.checks(0, "OK")
	for _, rule := range []string{"-m recent --set --name u", "-m recent --update --seconds 30 --hitcount 6 --name u -j REJECT"} {
		c.mysql1.Run(append([]string{"iptables", "-A", "INPUT", "-d", "10.77.0.100"}, strings.Fields(fresh+rule)...)...)
	}
	c.mysql1.checks(1, "mysql: the packet filter of this machine drops packets of clients above a limit: iptables")
	c.serves(t, "a limit of one real server", some)
	c.mysql1.remedy(problem.ServiceLimited)
	c.mysql1.checks(0, "OK")
	c.serves(t, "after the remedy", all)
}

// TestRuleSets: the rule sets that ufw, firewalld and docker make, on directors and real servers: whether they serve clients
// and let VRRP pass is what the status says.
//
// Proves docs/operations.md: "ufw with the rules of the [quick start](quickstart.md#7-firewalls) | pass; without NOTRACK"
// Proves docs/operations.md: "`ufw limit` for the VIP | blocked on a director, limited on a real server"
// Proves docs/operations.md: "If the rules drop the adverts of other directors, it is `adverts_blocked`"
func TestRuleSets(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	const ends = "drops the packets with which clients end connections"
	for _, set := range []struct {
		file  string
		code  int
		want  string
		serve served
	}{
		{"ufw-3306.save", 1, ends, all},
		{"ufw-limit.save", 2, "-m recent --update --seconds 30 --hitcount 6", none},
		{"ufw.save", 2, "chain INPUT: policy DROP", none},
		{"docker.save", 0, "OK", all},
		{"docker28.save", 0, "OK", all},
		{"firewalld-3306.json", 1, ends, all},
		{"firewalld-server.json", 2, "nft, table inet firewalld, chain filter_IN", none},
	} {
		on := []*node{c.master}
		if set.code < 2 {
			on = []*node{c.master, c.backup, c.mysql1}
		}
		for _, n := range on {
			n.load(set.file)
		}
		if len(on) > 2 { // the recorded rules of ufw are those of a director: on a real server they would stop its checks
			c.mysql1.Run("iptables-nft", "-I", "INPUT", "-p", "tcp", "-d", "10.77.0.11", "--dport", "3306", "-j", "ACCEPT")
		}
		for _, n := range on[:min(2, len(on))] {
			n.checks(set.code, set.want)
			if set.code == 1 {
				n.Run("iptables-nft", "-t", "raw", "-I", "PREROUTING", "-p", "tcp", "-d", "10.77.0.100", "--dport", "3306", "-j", "NOTRACK")
				n.checks(0, "OK")
			}
		}
		if len(on) > 2 {
			c.mysql1.checks(0, "OK")
		}
		c.serves(t, set.file, set.serve)
		c.awaitHolder(c.master, soon)
		for _, n := range on {
			n.Run("nft", "flush", "ruleset")
		}
		c.master.checks(0, "OK")
		c.backup.checks(0, "OK")
	}
	c.deaf(t)
}

// deaf: a BACKUP whose rules drop adverts becomes MASTER beside another one, and says why.
func (c *cluster) deaf(t *testing.T) {
	t.Helper()
	c.backup.load("ufw.save")
	c.backup.checks(2, "mysql: the packet filter of this host drops the adverts of 10.77.0.2: iptables, table filter, chain INPUT: policy DROP")
	lab.Eventually(t, soon, func() error {
		if !c.master.holds() || !c.backup.holds() {
			return fmt.Errorf("the VIP is on %v", lab.Holders(vip, c.master.Host, c.backup.Host))
		}
		return nil
	})
	c.backup.Run("iptables-nft", "-I", "INPUT", "-s", "10.77.0.2", "-d", "224.0.0.18", "-p", "112", "-j", "ACCEPT")
	c.awaitHolder(c.master, soon)
	c.backup.Run("nft", "flush", "ruleset")
	c.backup.checks(0, "OK")
	c.master.checks(0, "OK")
}

// load loads a recorded rule set. That of firewalld is loaded without what its direct rules have made with iptables.
func (n *node) load(file string) {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join("../pkg/kernel/firewall/testdata", file))
	if err != nil {
		n.t.Fatal(err)
	}
	command := "iptables-nft-restore <"
	if strings.HasSuffix(file, ".json") {
		command = "nft -j -f "
		var rules struct {
			NFTables []map[string]struct {
				Family, Table, Name string
			} `json:"nftables"`
		}
		var all struct {
			NFTables []json.RawMessage `json:"nftables"`
		}
		if err := errors.Join(json.Unmarshal(text, &rules), json.Unmarshal(text, &all)); err != nil {
			n.t.Fatal(err)
		}
		kept := all.NFTables[:0]
		for i, object := range rules.NFTables {
			if o := cmp.Or(object["chain"], object["rule"], object["table"]); o.Family != "ip" {
				kept = append(kept, all.NFTables[i])
			}
		}
		all.NFTables = kept
		text, _ = json.Marshal(all)
	}
	path := filepath.Join(n.t.TempDir(), file)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		n.t.Fatal(err)
	}
	n.Run("sh", "-c", command+path)
}

// TestOwnRulesOfNFTables: rules of nft on the director that stop its checks, with a reset, an ICMP error or no answer at all,
// say nothing about the servers; the same rules on a server do.
//
// Proves docs/checks.md: "A rule of the director's own packet filter that stops the check says nothing about the server:
// the check is `no_network`."
func TestOwnRulesOfNFTables(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	rule := func(hook, field, action string) string {
		return fmt.Sprintf("table inet own { chain c { type filter hook %s priority 0; policy accept; ip %saddr { 10.77.0.11, 10.77.0.12 } tcp %sport 3306 %s; }\n}", hook, field, field, action)
	}
	for _, own := range []string{
		rule("output", "d", "reject with tcp reset"),
		rule("output", "d", "reject with icmp port-unreachable"),
		rule("output", "d", "drop"),
		rule("input", "s", "drop"),
	} {
		c.master.Run("nft", own)
		c.master.checks(2, "no way to")
		for range 3 { // more than the fall of the checks
			time.Sleep(500 * time.Millisecond)
			c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
		}
		c.master.Run("nft", "delete", "table", "inet", "own")
		c.master.checks(0, "OK")
		c.awaitHolder(c.master, soon)
	}
	for _, action := range []string{"reject with tcp reset", "drop"} {
		c.mysql1.Run("nft", "table inet own { chain c { type filter hook input priority 0; policy accept; ip daddr 10.77.0.11 tcp dport 3306 "+action+"; }\n}")
		c.awaitTable(c.master, "10.77.0.12:3306")
		c.mysql1.Run("nft", "delete", "table", "inet", "own")
		c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	}
}
