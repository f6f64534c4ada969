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

// fakeReturn is the access of a director to the rules about redirects of a fakeKernel. Each question finds that something has changed.
type fakeReturn struct{ *fakeKernel }

func (k *fakeKernel) ReturnPath() reconcile.RuleKernel[kernel.ReturnPath] { return fakeReturn{k} }

func (f fakeReturn) Generation(context.Context) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.returns++
	return f.returns, f.fail["nft return"]
}

func (f fakeReturn) Intact(_ context.Context, r kernel.ReturnPath) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.returnPath.Equal(r), f.fail["nft return"]
}

func (f fakeReturn) Put(_ context.Context, r kernel.ReturnPath) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.do("nft return %v", r.Unredirected)
	if err == nil {
		f.returnPath = r
	}
	return err
}

func (f fakeReturn) Remove(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.returnPath.None() {
		return false, f.fail["nft return"]
	}
	err := f.do("nft return delete")
	if err == nil {
		f.returnPath = kernel.ReturnPath{}
	}
	return err == nil, err
}

// forgetsReturn is another program that removes the rules.
func (k *fakeKernel) forgetsReturn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.returnPath = kernel.ReturnPath{}
}

const returnFile = electing + `  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], excluded_addresses: ["fd00:77::100"]}
virtual_servers:
  - {name: web, address: "fd00:77::100", port: 80, scheduler: rr, forward: nat, initial_state: up, real_servers: [{name: web1, address: "fd00:77::11"}]}
`

// TestReturnPath: the rules are set before the virtual server, come back when another program removes them, and are removed after the
// virtual server; those of an earlier run are removed at a start that needs none.
func TestReturnPath(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.sysctls["net/ipv6/conf/all/forwarding"] = "0"
		m.begin(returnFile)
		m.pass(5 * time.Second)
		m.expect("the start", "open eth0", "sysctl net.ipv4.vs.expire_nodest_conn=1", "sysctl net.ipv6.conf.all.forwarding=1", "nft return [fd00:77::11]",
			"ipvsadm -A -t [fd00:77::100]:80 -s rr", "ipvsadm -a -t [fd00:77::100]:80 -r [fd00:77::11]:80 -m -w 1", "ip addr add 10.77.0.100 dev eth0", "ip addr add fd00:77::100 dev eth0")
		m.forgetsReturn()
		m.pass(2 * time.Second)
		m.expect("another program removes the rules", "nft return [fd00:77::11]")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "ip addr del fd00:77::100 dev eth0", "ipvsadm -D -t [fd00:77::100]:80", "nft return delete",
			"sysctl net.ipv4.vs.expire_nodest_conn=0", "sysctl net.ipv6.conf.all.forwarding=0")
	})
	world(t, func(t *testing.T, m *machine) {
		m.returnPath = kernel.ReturnPath{Unredirected: []netip.Addr{netip.MustParseAddr("fd00::9")}}
		m.begin(openFile + "}\n")
		m.pass(5 * time.Second)
		m.expect("a start without such servers", "nft return delete", "open eth0", "ip addr add 10.77.0.100 dev eth0")
		_ = m.stop()
	})
}

func returnPathCases() []codesCase {
	return []codesCase{
		{On: "MASTER", File: returnFile, Before: func(n *node) { n.sysctls["net/ipv6/conf/all/forwarding"] = "0" }, Case: problemtest.Case[*node]{
			Code: problem.RedirectsNotStopped, Fault: "the rules cannot be restored",
			Break: func(n *node) { n.refuse("nft return", errors.New("no nf_tables")); n.forgetsReturn() },
			Mend:  func(n *node) { n.refuse("nft return", nil) },
		}},
	}
}
