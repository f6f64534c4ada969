package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// vipRules are the packet filter rules for virtual addresses of a fakeKernel.
type vipRules struct {
	closed     kernel.Closed
	generation uint32
	read       int // how often they were compared
}

// fakeFilter is the access of a director to them.
type fakeFilter struct{ *fakeKernel }

func (k *fakeKernel) VIPFilter() reconcile.RuleKernel[kernel.Closed] { return fakeFilter{k} }

func (f fakeFilter) Generation(context.Context) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.vipRules.generation, f.fail["nft"]
}

func (f fakeFilter) Intact(_ context.Context, c kernel.Closed) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.vipRules.read++
	return f.vipRules.closed.Equal(c), f.fail["nft"]
}

func (f fakeFilter) Put(_ context.Context, c kernel.Closed) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.do("nft close %v for all but %v", c.Addresses, c.Open); err != nil {
		return err
	}
	f.vipRules.closed = c
	f.vipRules.generation++
	return nil
}

func (f fakeFilter) Remove(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.vipRules.closed.Addresses) == 0 {
		return false, f.fail["nft"]
	}
	if err := f.do("nft delete"); err != nil {
		return false, err
	}
	f.vipRules.closed = kernel.Closed{}
	f.vipRules.generation++
	return true, nil
}

// flushesRules is another program that removes all rules of the packet filter; changesRules one that changes others.
func (k *fakeKernel) flushesRules() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.vipRules.closed = kernel.Closed{}
	k.vipRules.generation++
}

func (k *fakeKernel) changesRules() (compared int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.vipRules.generation++
	return k.vipRules.read
}

const (
	openFile   = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [" + vip + "]"
	closedFile = openFile + ", accept_mode: false}\n"
	closeVIP   = "nft close [10.77.0.100] for all but []"
)

// TestClosedVIP: the rules are set before the VIP is added, and removed after it is removed. They replace those of an
// earlier run, come back when another program removes them, and follow a reload. They are read only if a rule has changed.
func TestClosedVIP(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.vipRules.closed = kernel.Closed{Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.99")}}
		m.begin(closedFile)
		m.pass(5 * time.Second)
		m.expect("the start", "nft delete", "open eth0", closeVIP, "ip addr add 10.77.0.100 dev eth0")
		if s := m.Status(); len(s.Problems) != 0 {
			t.Errorf("status: %+v", s.Problems)
		}
		before := m.changesRules()
		m.pass(5 * time.Second)
		m.expect("another program changes other rules")
		if compared := m.changesRules() - before; compared != 1 {
			t.Errorf("after one change, the rules were read %d times", compared)
		}
		m.flushesRules()
		m.pass(2 * time.Second)
		m.expect("another program removes the rules", closeVIP)
		m.reload(openFile + "}\n")
		m.expect("accept_mode: true", "nft delete")
		m.reload(closedFile)
		m.expect("accept_mode: false", closeVIP)
		m.reload(openFile + ", accept_mode: false, priority: 255}\n")
		m.expect("the address owner accepts", "nft delete")
		m.reload(closedFile)
		m.expect("no longer the owner", closeVIP)
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "nft delete")
	})
}

// TestClosedVIPFails: a kernel without nf_tables costs no VIP, neither at the start nor at the end.
func TestClosedVIPFails(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.refuse("nft", errors.New("no nf_tables"))
		m.begin(closedFile)
		m.pass(10 * time.Second)
		if !m.has("eth0", vip) || m.state("a") != "MASTER" {
			t.Errorf("%s, and the VIP is held: %t", m.state("a"), m.has("eth0", vip))
		}
		m.refuse("nft", nil)
		m.pass(2 * time.Second)
		if s := m.Status(); len(s.Problems) != 0 {
			t.Errorf("status: %+v", s.Problems)
		}
		_ = m.stop()
	})
}

// TestCleanupOfClosedVIPs: cleanup removes the rules that a killed director has left, also with --addresses.
func TestCleanupOfClosedVIPs(t *testing.T) {
	for _, addressesOnly := range []bool{false, true} {
		world(t, func(t *testing.T, m *machine) {
			m.vipRules.closed = kernel.Closed{Addresses: []netip.Addr{netip.MustParseAddr(vip)}}
			if err := Cleanup(m.options(openFile+"}\n"), addressesOnly); err != nil {
				t.Fatal(err)
			}
			m.expect("cleanup", "nft delete")
		})
	}
}

func vipFilterCases() []codesCase {
	return []codesCase{
		{On: "MASTER", File: closedFile, Case: problemtest.Case[*node]{
			Code: problem.AcceptModeOff, Fault: "the rules cannot be restored",
			Break: func(n *node) { n.refuse("nft", errors.New("no nf_tables")); n.flushesRules() },
			Mend:  func(n *node) { n.refuse("nft", nil) },
		}},
	}
}

// TestNotPermittedOnce: a daemon that may not change the packet filter, and has set no rules in it, says at its end only why it
// did not start. A cleanup says that it cannot tell.
func TestNotPermittedOnce(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		denied := fmt.Errorf("%w: needs CAP_NET_ADMIN", kernel.ErrNotPermitted)
		m.refuse("nft", denied)
		m.refuse("find ipvs", denied)
		o := m.options(codesFile)
		if err := New(o).Run(t.Context()); err == nil || strings.Count(err.Error(), "not permitted") != 1 {
			t.Errorf("the start: %v", err)
		}
		m.refuse("find ipvs", nil)
		if err := Cleanup(m.options(codesFile), false); !errors.Is(err, kernel.ErrNotPermitted) {
			t.Errorf("cleanup: %v", err)
		}
	})
}
