package director

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// farServer is in no network of the machine.
const farServer = "10.99.0.11"

var farFile = electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, farServer)

// routedBy puts a server behind a router; "" for a direct route.
func (k *fakeKernel) routedBy(server, router string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.hops, netip.MustParseAddr(server))
	if router != "" {
		k.hops[netip.MustParseAddr(server)] = netip.MustParseAddr(router)
	}
}

// remembers sets the number of connections that connection tracking remembers, of 1000.
func (k *fakeKernel) remembers(count int) {
	k.set("net/netfilter/nf_conntrack_count", fmt.Sprint(count))
	k.set("net/netfilter/nf_conntrack_max", "1000")
}

func machineCases() []codesCase {
	return []codesCase{
		{File: farFile, Case: problemtest.Case[*node]{
			Code: problem.ServerBehindRouter, Subject: "mysql",
			Break: func(n *node) { n.routedBy(farServer, "10.77.0.254") }, Mend: func(n *node) { n.routedBy(farServer, "") },
		}},
		{Case: problemtest.Case[*node]{
			Code:  problem.ConntrackFull,
			Break: func(n *node) { n.remembers(996) }, Mend: func(n *node) { n.remembers(500) },
		}},
		{Case: problemtest.Case[*node]{
			Code:  problem.ConntrackNearlyFull,
			Break: func(n *node) { n.remembers(905) }, Mend: func(n *node) { n.remembers(500) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code:  problem.ConnectionTableSmall,
			Break: func(n *node) { n.connected(one, 100_000) }, Mend: func(n *node) { n.connected(one, 100) },
		}},
		{Case: problemtest.Case[*node]{
			Code:  problem.EntriesDropped,
			Break: func(n *node) { n.set("net/ipv4/vs/drop_entry", "3") }, Mend: func(n *node) { n.set("net/ipv4/vs/drop_entry", "1") },
		}},
	}
}

// TestRouted: only real servers with forward: dr count, and not all routes of thousands of them are looked up.
func TestRouted(t *testing.T) {
	k := newFakeKernel()
	var servers []string
	for n := range 40 {
		servers = append(servers, fmt.Sprintf("10.99.0.%d", n+1))
		k.routedBy(servers[n], "10.77.0.254")
	}
	l := layout{networks: []kernel.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/24")}}}
	m := answerMonitor{kernel: k}
	for _, c := range []struct{ file, texts string }{
		{balancing("mysql", vip, "dr", one, two), ""},
		{balancing("mysql", vip, "tun", servers[:3]...), ""},
		{balancing("mysql", vip, "dr", one, servers[0]), "mysql: real servers with forward: dr are behind a router, which sends the packets of clients back: 10.99.0.1 (through 10.77.0.254)"},
		{balancing("mysql", vip, "dr", servers...), "mysql: real servers with forward: dr are behind a router, which sends the packets of clients back: " +
			"10.99.0.1 (through 10.77.0.254), 10.99.0.2 (through 10.77.0.254), 10.99.0.3 (through 10.77.0.254), 10.99.0.4 (through 10.77.0.254), 10.99.0.5 (through 10.77.0.254), " +
			"10.99.0.6 (through 10.77.0.254), 10.99.0.7 (through 10.77.0.254), 10.99.0.8 (through 10.77.0.254), and 32 more that are in no network of this machine"},
	} {
		cfg, problems := config.Parse("cluster.yaml", []byte(electing+router("a", "eth0", 51, vip)+virtualServers+c.file))
		if cfg == nil {
			t.Fatal(problems)
		}
		var texts []string
		for _, f := range m.routed(t.Context(), plan.Plan{Config: cfg}, l) {
			texts = append(texts, f.Text)
		}
		if got := strings.Join(texts, "\n"); got != c.texts {
			t.Errorf("%s\ngot  %s\nwant %s", c.file, got, c.texts)
		}
	}
}

// TestRoutersAreKnownByTheirErrors: a next hop that discards no packet is no router; one that did counts for five minutes after the
// last time; and with many real servers every one is asked about.
func TestRoutersAreKnownByTheirErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		var servers []string
		for n := range 300 { // of 38 virtual servers
			servers = append(servers, fmt.Sprintf("10.99.%d.%d", n/200, n%200+1))
			k.routedBy(servers[n], "10.77.0.254")
		}
		hop := netip.MustParseAddr("10.77.0.254")
		quiet := func(is bool) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.quietHops[hop] = is
		}
		l := layout{networks: []kernel.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/24")}}}
		m := answerMonitor{kernel: k}
		plans := func(servers []string) plan.Plan {
			text := electing + router("a", "eth0", 51, vip) + virtualServers
			for n, some := range slices.Collect(slices.Chunk(servers, hopsAsked)) {
				text += strings.Replace(balancing(fmt.Sprintf("mysql%d", n), vip, "dr", some...), "port: 3306", fmt.Sprintf("port: %d", 3306+n), 1)
			}
			cfg, problems := config.Parse("cluster.yaml", []byte(text))
			if cfg == nil {
				t.Fatal(problems)
			}
			return plan.Plan{Config: cfg}
		}
		found := func(p plan.Plan) int { return len(m.routed(t.Context(), p, l)) }
		one := plans(servers[:1])
		quiet(true)
		if n := found(one); n != 0 {
			t.Errorf("%d problems of a next hop that discards nothing", n)
		}
		quiet(false)
		if time.Sleep(routerAgain - time.Second); found(one) != 0 {
			t.Error("asked again too early")
		}
		if time.Sleep(time.Second); found(one) != 1 {
			t.Error("not asked again")
		}
		quiet(true)
		if time.Sleep(routerKnown - time.Second); found(one) != 1 {
			t.Error("the router is forgotten too early")
		}
		if time.Sleep(time.Second); found(one) != 0 {
			t.Error("the router is not forgotten")
		}
		quiet(false)
		all := plans(servers)
		for range len(servers)/routersAsked + 1 {
			time.Sleep(answersEvery)
			found(all)
		}
		if n := found(all); n != len(all.Config.VirtualServers) {
			t.Errorf("%d of %d virtual servers have a problem", n, len(all.Config.VirtualServers))
		}
	})
}

// TestTracked: a number that moves about a limit does not make the problem come and go.
func TestTracked(t *testing.T) {
	k := newFakeKernel()
	m := answerMonitor{kernel: k}
	for _, step := range []struct {
		count int
		code  problem.Code
	}{
		{899, ""},
		{900, problem.ConntrackNearlyFull},
		{860, problem.ConntrackNearlyFull},
		{849, ""},
		{860, ""},
		{990, problem.ConntrackFull},
		{951, problem.ConntrackFull},
		{949, problem.ConntrackNearlyFull},
		{989, problem.ConntrackNearlyFull},
		{1003, problem.ConntrackFull},
		{0, ""},
	} {
		k.remembers(step.count)
		found, code := m.tracked(), problem.Code("")
		m.found.Store(&found)
		if len(found) > 0 {
			code = found[0].Code
		}
		if code != step.code {
			t.Errorf("%d: %q, want %q", step.count, code, step.code)
		}
	}
}

// TestChecksWhileTrackingIsFull: a check without an answer says nothing about its server while this machine drops packets of new
// connections. One that is refused was answered.
func TestChecksWhileTrackingIsFull(t *testing.T) {
	for name, c := range map[string]struct {
		count int
		code  health.Code
		up    bool
	}{
		"full":              {1000, health.Timeout, true},
		"entries are freed": {950, health.Timeout, true},
		"nearly full":       {949, health.Timeout, false},
		"refused":           {1000, health.Refused, false},
	} {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				m.start(codesFile)
				m.remembers(c.count)
				m.answer(one, health.Result{Code: c.code, Class: health.Bad, Cause: "tcp: failed"})
				m.pass(5 * time.Second)
				r := m.Status().VirtualServers[0].RealServers[0]
				if up := r.State == "up"; up != c.up || up != strings.Contains(r.Reason, "connection tracking of this director is full (") {
					t.Errorf("%s %s", r.State, r.Reason)
				}
			})
		})
	}
}
