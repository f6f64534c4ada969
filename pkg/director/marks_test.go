package director

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// markRules are the marking rules of a fakeKernel.
type markRules struct {
	marking    kernel.Marking
	unknown    bool  // the hardware addresses of directors
	unread     error // why they cannot be read
	generation uint32
}

// fakeMarks is the access of a director to them.
type fakeMarks struct{ *fakeKernel }

func (k *fakeKernel) Marks() reconcile.RuleKernel[kernel.Marking] { return fakeMarks{k} }

func (f fakeMarks) Generation(context.Context) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.markRules.generation, f.fail["nft mark"]
}

func (f fakeMarks) Intact(_ context.Context, m kernel.Marking) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.markRules.marking.Equal(m), f.fail["nft mark"]
}

func (f fakeMarks) Put(_ context.Context, m kernel.Marking) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.do("nft mark %v", m.Endpoints); err != nil {
		return err
	}
	f.markRules.marking = m
	f.markRules.generation++
	return nil
}

func (f fakeMarks) Remove(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.markRules.marking.None() {
		return false, f.fail["nft mark"]
	}
	if err := f.do("nft mark delete"); err != nil {
		return false, err
	}
	f.markRules.marking = kernel.Marking{}
	f.markRules.generation++
	return true, nil
}

// Complete finds the hardware address of every director.
func (f fakeMarks) Complete(_ context.Context, m kernel.Marking) (kernel.Marking, []netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.Hardware = nil
	if f.markRules.unknown {
		return m, m.Directors, f.markRules.unread
	}
	for _, a := range m.Directors {
		m.Hardware = append(m.Hardware, kernel.HardwareAddr{2, 0, 0, 0, 0, a.As4()[3]})
	}
	return m, nil, nil
}

// knowsDirectors says whether the hardware addresses of directors are known, and why they cannot be read if not.
func (k *fakeKernel) knowsDirectors(yes bool, unread error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.markRules.unknown, k.markRules.unread = !yes, unread
}

// forgetsMarks is another program that removes all rules of the packet filter.
func (k *fakeKernel) forgetsMarks() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.markRules.marking = kernel.Marking{}
	k.markRules.generation++
}

const (
	markedFile = electing + `  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}
virtual_servers:
  - {name: web, fwmark: 5, marking: nftables, address: 10.77.0.100, packets: [{ports: [80, 443]}], scheduler: rr, forward: dr, initial_state: up, real_servers: [{name: web1, address: 10.77.0.11}]}
`
	markWeb = "nft mark [{{6 10.77.0.100:80} 5} {{6 10.77.0.100:443} 5}]"
)

// TestMarks: the rules are set before the virtual server and the VIP are added, come back when another program removes them, and
// are removed after the virtual server. Those of an earlier run mark on until they are replaced, unless none are needed.
func TestMarks(t *testing.T) {
	earlier := kernel.Marking{Endpoints: []kernel.MarkedEndpoint{{Endpoint: kernel.Endpoint{Protocol: 6}, Mark: 9}}}
	world(t, func(t *testing.T, m *machine) {
		m.markRules.marking = earlier
		m.begin(markedFile)
		m.pass(5 * time.Second)
		m.expect("the start", "open eth0", "sysctl net.ipv4.vs.expire_nodest_conn=1", markWeb, "ipvsadm -A -f 5 -s rr", "ipvsadm -a -f 5 -r 10.77.0.11:0 -g -w 1", "ip addr add 10.77.0.100 dev eth0")
		if s := m.Status(); len(s.Problems) != 0 {
			t.Errorf("status: %+v", s.Problems)
		}
		m.forgetsMarks()
		m.pass(2 * time.Second)
		m.expect("another program removes the rules", markWeb)
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "ipvsadm -D -f 5", "nft mark delete", "sysctl net.ipv4.vs.expire_nodest_conn=0")
	})
	world(t, func(t *testing.T, m *machine) {
		m.markRules.marking = earlier
		m.begin(openFile + "}\n")
		m.pass(5 * time.Second)
		m.expect("a start without marks", "nft mark delete", "open eth0", "ip addr add 10.77.0.100 dev eth0")
		_ = m.stop()
	})
}

func markCases() []codesCase {
	none := strings.Replace(markedFile, "marking: nftables, address: 10.77.0.100, packets: [{ports: [80, 443]}]", "marking: none", 1)
	marks := func(n *node, rule string) {
		n.save("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING " + rule + "\nCOMMIT\n")
	}
	const set = "-d 10.77.0.100/32 -p tcp -j MARK --set-xmark 0x5/0xffffffff"
	return []codesCase{
		{File: none, Before: func(n *node) { marks(n, set) }, Case: problemtest.Case[*node]{
			Code: problem.MarkNotSet, Subject: "web", Fault: "no rule sets it",
			Break: func(n *node) { marks(n, strings.Replace(set, "0x5", "0x6", 1)) }, Mend: func(n *node) { marks(n, set) },
		}},
		{File: none, Before: func(n *node) { marks(n, set) }, Case: problemtest.Case[*node]{
			Code: problem.MarkUnclear, Subject: "web", Fault: "a restored mark",
			Break: func(n *node) { marks(n, "-j CONNMARK --restore-mark") }, Mend: func(n *node) { marks(n, set) },
		}},
		{On: "MASTER", File: markedFile, Case: problemtest.Case[*node]{
			Code: problem.NotMarked, Fault: "the rules cannot be restored",
			Break: func(n *node) { n.refuse("nft mark", errors.New("no nf_tables")); n.forgetsMarks() },
			Mend:  func(n *node) { n.refuse("nft mark", nil) },
		}},
	}
}
