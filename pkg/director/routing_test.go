package director

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/routing"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// fib is the routes and rules of a fakeKernel with our protocol number, and the foreign routes in their way.
type fib struct {
	routes  []kernel.Route
	rules   []kernel.Rule
	foreign map[kernel.RouteKey]bool
}

// fakeRouting is a handle to the routes and rules of a fakeKernel.
type fakeRouting struct{ *fakeKernel }

func (k *fakeKernel) Routing() (Routing, error) { k.open(); return fakeRouting{k}, nil }

func (r fakeRouting) Close() error { return r.closed() }

func (r fakeRouting) Routes() ([]kernel.Route, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.fib.routes), r.fail["list routes"]
}

func (r fakeRouting) Rules() ([]kernel.Rule, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.fib.rules), r.fail["list rules"]
}

func (r fakeRouting) Add(route kernel.Route) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fib.foreign[route.Key()] {
		return fmt.Errorf("add %s: %w", route, routing.ErrExists)
	}
	if err := r.do("ip route add %s", route); err != nil {
		return err
	}
	r.fib.routes = append(r.fib.routes, route)
	return nil
}

func (r fakeRouting) AddRule(rule kernel.Rule) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.do("ip add %s", rule); err != nil {
		return err
	}
	r.fib.rules = append(r.fib.rules, rule)
	return nil
}

func (r fakeRouting) Remove(route kernel.Route) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.do("ip route del %s", route); err != nil {
		return err
	}
	r.fib.routes = slices.DeleteFunc(r.fib.routes, func(have kernel.Route) bool { return have == route })
	return nil
}

func (r fakeRouting) RemoveRule(rule kernel.Rule) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.do("ip del %s", rule); err != nil {
		return err
	}
	r.fib.rules = slices.DeleteFunc(r.fib.rules, func(have kernel.Rule) bool { return have == rule })
	return nil
}

// deletesRoutes is another process that removes all of them.
func (k *fakeKernel) deletesRoutes() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fib.routes = nil
}

// occupies is another program that has a route with the same key, or has no longer.
func (k *fakeKernel) occupies(r kernel.Route, yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fib.foreign = map[kernel.RouteKey]bool{r.Key(): yes}
}

const routed = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [" + vip + "], " +
	"routes: [{destination: default, via: 10.77.0.254, table: 100}], rules: [{from: " + vip + ", table: 100, priority: 1000}]}\n"

var (
	routedRoute = kernel.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.77.0.254"), Table: 100}
	oldRoute    = kernel.Route{Destination: netip.MustParsePrefix("192.0.2.0/24"), Via: netip.MustParseAddr("10.77.0.254"), Table: 254}
)

// TestRoutesFollowTheVIPs: what an earlier run left is removed first, and only what the state file or the cluster file
// names; the VIP is added first, then routes, then rules; they are restored, follow a reload, and are gone at the end.
func TestRoutesFollowTheVIPs(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		unknown := oldRoute
		unknown.Metric = 7
		m.fib.routes = []kernel.Route{oldRoute, unknown}
		l, err := statefile.Open(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.RecordRouting([]kernel.Route{oldRoute}, nil)
		_ = l.Close()
		m.begin(routed)
		m.pass(5 * time.Second)
		const add, rule, remove = "ip route add default via 10.77.0.254 table 100", "ip add rule 1000 from 10.77.0.100/32 table 100", "ip route del default via 10.77.0.254 table 100"
		m.expect("the start", "ip route del 192.0.2.0/24 via 10.77.0.254", "open eth0", "ip addr add 10.77.0.100 dev eth0", add, rule)
		if s := m.Status(); len(s.Problems) != 0 || len(s.Instances[0].Routes) != 1 || len(s.Instances[0].Rules) != 1 {
			t.Errorf("status: %+v", s)
		}
		m.deletesRoutes()
		m.pass(3 * time.Second)
		m.expect("another process deletes the route", add)
		m.reload(electing + router("a", "eth0", 51, vip))
		m.expect("without routes", "ip del rule 1000 from 10.77.0.100/32 table 100", remove)
		m.reload(routed)
		m.expect("with routes again", add, rule)
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = false })
		m.pass(3 * time.Second)
		got := m.history()
		slices.Sort(got)
		if want := []string{"ip addr del 10.77.0.100 dev eth0", "ip del rule 1000 from 10.77.0.100/32 table 100", remove}; !slices.Equal(got, append(want, "resign on eth0")) && !slices.Equal(got, want) {
			t.Errorf("in FAULT: %q", got)
		}
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = true })
		m.pass(5 * time.Second)
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if len(m.fib.routes)+len(m.fib.rules) > 0 || m.opened != 0 {
			t.Errorf("at the end: %v %v, %d handles", m.fib.routes, m.fib.rules, m.opened)
		}
	})
}

// TestRoutesThatFail: the VIPs are held whatever happens to the routes.
func TestRoutesThatFail(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.refuse("ip route", fmt.Errorf("no"))
		m.begin(routed)
		m.pass(time.Minute)
		if !m.has("eth0", vip) || m.state("a") != "MASTER" {
			t.Errorf("%s, and the VIP is held: %t", m.state("a"), m.has("eth0", vip))
		}
		_ = m.stop()
	})
}

// TestCleanupOfRoutes: `cleanup` removes what a killed director has left, also with --addresses, and nothing else.
func TestCleanupOfRoutes(t *testing.T) {
	for _, addressesOnly := range []bool{false, true} {
		world(t, func(t *testing.T, m *machine) {
			unknown := oldRoute
			unknown.Table = 100
			m.fib.routes = []kernel.Route{oldRoute, unknown, routedRoute}
			l, err := statefile.Open(m.dir)
			if err != nil {
				t.Fatal(err)
			}
			_ = l.RecordRouting([]kernel.Route{oldRoute}, nil)
			_ = l.Close()
			if err := Cleanup(m.options(routed), addressesOnly); err != nil {
				t.Fatal(err)
			}
			if want := []kernel.Route{unknown}; !slices.Equal(m.fib.routes, want) {
				t.Errorf("left: %v, want %v", m.fib.routes, want)
			}
			if l, err = statefile.Open(m.dir); err != nil || len(l.Routes()) > 0 {
				t.Errorf("recorded after the cleanup: %v, %v", l.Routes(), err)
			}
			_ = l.Close()
		})
	}
}

func routingCases() []codesCase {
	return []codesCase{
		{On: "MASTER", File: routed, Case: problemtest.Case[*node]{
			Code: problem.RoutingWrong, Subject: "a", Fault: "another program has the route",
			Break: func(n *node) { n.occupies(routedRoute, true); n.deletesRoutes() },
			Mend:  func(n *node) { n.occupies(routedRoute, false) },
		}},
		{On: "MASTER", File: routed, Case: problemtest.Case[*node]{
			Code: problem.RoutingWrong, Subject: "a", Fault: "routes cannot be listed",
			Break: func(n *node) { n.refuse("list routes", fmt.Errorf("no")) },
			Mend:  func(n *node) { n.refuse("list routes", nil) },
		}},
	}
}
