package director

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
)

// TestOwnFilterIsNoEvidence: a check that fails because of a rule of this machine is inconclusive, and one that fails
// beside rules that let it pass is not.
func TestOwnFilterIsNoEvidence(t *testing.T) {
	const reset = "-d 10.77.0.11/32 -p tcp -m tcp --dport 3306 -j REJECT --reject-with tcp-reset"
	for name, c := range map[string]struct {
		chain, policy string
		rules         []string
		code          health.Code
		want          string // of the reason; "": the server is down
	}{
		"tcp-reset":                  {"OUTPUT", "ACCEPT", []string{reset}, health.Refused, "iptables, table filter, chain OUTPUT: -A OUTPUT " + reset},
		"of another server":          {"OUTPUT", "ACCEPT", []string{strings.Replace(reset, "0.11", "0.12", 1)}, health.Refused, ""},
		"of another interface":       {"OUTPUT", "ACCEPT", []string{"-o eth7 " + reset}, health.Refused, ""},
		"of a user that may be ours": {"OUTPUT", "ACCEPT", []string{"-m owner --uid-owner 107 -j REJECT --reject-with tcp-reset"}, health.Refused, ""},
		"policy DROP":                {"OUTPUT", "DROP", []string{"-p 112 -j ACCEPT"}, health.Timeout, "policy DROP"},
		"policy DROP, and accepted":  {"OUTPUT", "DROP", []string{"-p tcp -j ACCEPT"}, health.Timeout, ""},
		"established only":           {"OUTPUT", "DROP", []string{"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}, health.Timeout, "policy DROP"},
		"the answers":                {"INPUT", "DROP", []string{"-d 10.77.0.100/32 -j ACCEPT"}, health.Timeout, "chain INPUT: policy DROP"},
		"the answers are accepted":   {"INPUT", "DROP", []string{"-d 10.77.0.100/32 -j ACCEPT", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}, health.Timeout, ""},
		"what cannot be rejected":    {"INPUT", "DROP", []string{"-d 10.77.0.100/32 -j ACCEPT"}, health.Refused, ""},
		"host unreachable":           {"OUTPUT", "ACCEPT", []string{"-j REJECT --reject-with icmp-host-unreachable"}, health.Unreachable, "-j REJECT"},
		"something else":             {"OUTPUT", "DROP", nil, health.Reset, ""},
	} {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two))
				m.filterChain(c.chain, c.policy, c.rules...)
				m.answer(one, health.Result{Code: c.code, Class: health.Bad, Cause: "tcp: failed"})
				m.pass(5 * time.Second)
				r := m.Status().VirtualServers[0].RealServers[0]
				if up := r.State == "up"; up != (c.want != "") || !strings.Contains(r.Reason, c.want) || up && !strings.Contains(r.Reason, "this director's own packet filter stops it: ") {
					t.Errorf("%s %s, want %q", r.State, r.Reason, c.want)
				}
			})
		})
	}
}

// TestRulesAreSharedAndBounded: many failed checks read the rules once, and wait for them for a short time only.
func TestRulesAreSharedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, takes := 0, 20*time.Millisecond
		f := newPacketFilter(func(ctx context.Context, _ kernel.Family) (firewall.Rules, error) {
			reads++
			select {
			case <-time.After(takes):
				return firewall.Rules{Bases: make([]*firewall.Chain, reads)}, nil
			case <-ctx.Done():
				return firewall.Rules{}, ctx.Err()
			}
		})
		ask := func() (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), filterWait)
			defer cancel()
			rules, err := f.rules(ctx, kernel.IPv4)
			return len(rules.Bases), err
		}
		for range 100 {
			if n, err := ask(); n != 1 || err != nil {
				t.Fatalf("rules of reading %d, %v", n, err)
			}
		}
		time.Sleep(filterShare * takes)
		if n, err := ask(); n != 2 || err != nil {
			t.Errorf("after a while: rules of reading %d, %v", n, err)
		}
		takes = time.Hour
		time.Sleep(filterAge / 2)
		if n, err := ask(); n != 2 || err != nil {
			t.Errorf("what cannot be read in time: rules of reading %d, %v", n, err)
		}
		time.Sleep(filterAge)
		if _, err := ask(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("for long: %v", err)
		}
		if reads != 3 {
			t.Errorf("%d readings, want 3: a failure is remembered", reads)
		}
		takes = 20 * time.Millisecond
		time.Sleep(filterRetry)
		if n, err := ask(); n != 4 || err != nil {
			t.Errorf("after the failure: rules of reading %d, %v", n, err)
		}
	})
}

// TestNobodyWaitsForAProgramThatHangs: a program that shows the rules and cannot be killed is started once; those who ask
// wait for their own deadline, and the monitor of the packet filter goes on.
func TestNobodyWaitsForAProgramThatHangs(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		var reads atomic.Int32
		ends := make(chan struct{})
		f := newPacketFilter(func(context.Context, kernel.Family) (firewall.Rules, error) {
			reads.Add(1)
			<-ends
			return firewall.Rules{}, nil
		})
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), filterWait)
			begun := time.Now()
			if _, err := f.rules(ctx, kernel.IPv4); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != filterWait {
				t.Errorf("%v after %s", err, time.Since(begun))
			}
			cancel()
		}
		var all []answer
		for n := range byte(100) {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, 1, n}), 3306)
			all = append(all, answer{packet: firewall.Packet{Way: firewall.Forwarded, From: from, Protocol: "tcp"}})
		}
		monitor, begun := answerMonitor{kernel: m.fakeKernel, filter: f, unset: func() string { return "" }}, time.Now()
		monitor.answers(t.Context(), all)
		if took := time.Since(begun); took > filterWithin {
			t.Errorf("the answers of %d real servers were judged in %s", len(all), took)
		}
		if n := reads.Load(); n != 1 {
			t.Errorf("%d readings at once", n)
		}
		close(ends)
	})
}
