package director

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// fakeSource is the access of a director to the rules about source addresses of a fakeKernel. Each question finds that something
// has changed.
type fakeSource struct{ *fakeKernel }

func (k *fakeKernel) SourceNAT() reconcile.RuleKernel[kernel.SourceNAT] { return fakeSource{k} }

func (f fakeSource) Generation(context.Context) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replaces++
	return f.replaces, f.fail["nft source"]
}

func (f fakeSource) Intact(_ context.Context, s kernel.SourceNAT) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sourceNAT.Equal(s), f.fail["nft source"]
}

func (f fakeSource) Put(_ context.Context, s kernel.SourceNAT) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.do("nft source %v to %v", s.Replaced, s.Servers)
	if err == nil {
		f.sourceNAT = s
	}
	return err
}

func (f fakeSource) Remove(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sourceNAT.None() {
		return false, f.fail["nft source"]
	}
	err := f.do("nft source delete")
	if err == nil {
		f.sourceNAT = kernel.SourceNAT{}
	}
	return err == nil, err
}

// forgetsSource is another program that removes the rules.
func (k *fakeKernel) forgetsSource() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sourceNAT = kernel.SourceNAT{}
}

const (
	sourceFile = electing + `  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}
virtual_servers:
  - {name: web, address: 10.77.0.100, port: 80, scheduler: rr, forward: nat, snat_clients: [10.77.0.0/24], initial_state: up, real_servers: [{name: web1, address: 10.77.0.11}]}
`
	sourceWeb = "nft source [{10.77.0.0/24 {6 10.77.0.100:80} 0}] to [10.77.0.11]"
)

// TestSourceNAT: connections are tracked, and the rules are set, before the virtual server is added; the rules come back when
// another program removes them, go with a reload that does not need them, and are removed after the virtual server; those of an
// earlier run are removed at a start that needs none.
func TestSourceNAT(t *testing.T) {
	forwarding := func(m *machine) {
		for key, value := range map[string]string{"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "0", "net/ipv4/conf/eth0/send_redirects": "0", "net/ipv4/vs/expire_nodest_conn": "1", "net/ipv4/vs/conntrack": "0"} {
			m.sysctls[key] = value
		}
	}
	world(t, func(t *testing.T, m *machine) {
		forwarding(m)
		m.begin(sourceFile)
		m.pass(5 * time.Second)
		m.expect("the start", "open eth0", "sysctl net.ipv4.vs.conntrack=1", sourceWeb,
			"ipvsadm -A -t 10.77.0.100:80 -s rr", "ipvsadm -a -t 10.77.0.100:80 -r 10.77.0.11:80 -m -w 1", "ip addr add 10.77.0.100 dev eth0")
		if s := m.Status(); len(s.Problems) != 0 {
			t.Errorf("status: %+v", s.Problems)
		}
		m.forgetsSource()
		m.pass(2 * time.Second)
		m.expect("another program removes the rules", sourceWeb)
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "ipvsadm -D -t 10.77.0.100:80", "nft source delete", "sysctl net.ipv4.vs.conntrack=0")
	})
	world(t, func(t *testing.T, m *machine) {
		m.sourceNAT = kernel.SourceNAT{Replaced: []kernel.Replaced{{Clients: netip.MustParsePrefix("10.0.0.0/8")}}}
		m.begin(openFile + "}\n")
		m.pass(5 * time.Second)
		m.expect("a start without such clients", "nft source delete", "open eth0", "ip addr add 10.77.0.100 dev eth0")
		_ = m.stop()
	})
}

func sourceNATCases() []codesCase {
	return []codesCase{
		{On: "MASTER", File: sourceFile, Before: func(n *node) { n.sysctls["net/ipv4/vs/conntrack"] = "0" }, Case: problemtest.Case[*node]{
			Code: problem.SourceNotReplaced, Fault: "the rules cannot be restored",
			Break: func(n *node) { n.refuse("nft source", errors.New("no nf_tables")); n.forgetsSource() },
			Mend:  func(n *node) { n.refuse("nft source", nil) },
		}},
	}
}
