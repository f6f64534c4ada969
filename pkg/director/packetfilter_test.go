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
	"github.com/lvs-director/lvs-director/pkg/probe"
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
		time.Sleep(filterAge + filterShare*20*time.Millisecond)
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

// TestRulesThatAreBeingRead: until the rules are read that may have stopped a check, its failure is inconclusive; when
// they cannot be read in time, also because of a program that cannot be killed, it is one of the server.
func TestRulesThatAreBeingRead(t *testing.T) {
	for name, hangs := range map[string]bool{"killed at its deadline": false, "cannot be killed": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ends := make(chan struct{})
				defer close(ends)
				f := newPacketFilter(func(ctx context.Context, _ kernel.Family) (firewall.Rules, error) {
					if hangs {
						<-ends
					}
					<-ctx.Done()
					return firewall.Rules{}, ctx.Err()
				})
				begun := time.Now()
				for time.Since(begun) < filterRetry {
					reading := time.Since(begun) < filterWithin
					got := f.explain(t.Context(), refusedBy("10.77.0.11"), targetOf("10.77.0.11"), byEth0)
					if unknown := got.Class == health.Unknown; unknown != reading || unknown && got.Code != health.Local {
						t.Fatalf("after %s: %+v", time.Since(begun), got)
					}
					time.Sleep(time.Second)
				}
			})
		})
	}
}

func targetOf(server string) *probe.Target {
	return &probe.Target{Source: netip.MustParseAddr("10.77.0.2"), Address: netip.AddrPortFrom(netip.MustParseAddr(server), 3306)}
}

func refusedBy(server string) probe.Result {
	return probe.Result{Code: health.Refused, Class: health.Bad, Cause: "tcp: dial " + server + ":3306: connection refused"}
}

func byEth0(netip.Addr) (string, error) { return "eth0", nil }

// TestRulesAreThoseOfTheFailure: rules that were read before a check began to fail do not say that no rule stops it. Many
// failures share a reading, and rules are read for a part of the time only.
func TestRulesAreThoseOfTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 50 * time.Millisecond
		text, reads := "", 0
		f := newPacketFilter(func(context.Context, kernel.Family) (firewall.Rules, error) {
			reads++
			now := text
			time.Sleep(takes)
			return firewall.ParseSave("iptables", now)
		})
		check := func(server string) health.Code {
			return f.explain(t.Context(), refusedBy(server), targetOf(server), byEth0).Code
		}
		good := func(server string) {
			f.explain(t.Context(), probe.Result{Code: health.OK, Class: health.Good}, targetOf(server), byEth0)
		}
		if got := check("10.77.0.11"); got != health.Refused || reads != 1 {
			t.Fatalf("without a rule: %s after %d readings", got, reads)
		}
		good("10.77.0.11")
		time.Sleep(time.Second)
		text = "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 10.77.0.11/32 -j REJECT --reject-with tcp-reset\nCOMMIT\n"
		for range 10 {
			if got := check("10.77.0.11"); got != health.NoNetwork {
				t.Fatalf("with a rule: %s", got)
			}
		}
		if reads != 2 {
			t.Errorf("%d readings for one failure", reads)
		}
		if got := check("10.77.0.12"); got != health.Local { // its rules must be read, after a pause
			t.Errorf("another server at once: %s", got)
		}
		time.Sleep(filterPause * takes)
		if got := check("10.77.0.12"); got != health.Refused {
			t.Errorf("another server, a little later: %s", got)
		}
		begun, before := time.Now(), reads
		for n := 0; time.Since(begun) < 10*time.Second; n++ { // checks that fail every other time
			server := netip.AddrFrom4([4]byte{10, 77, 1, byte(n)}).String()
			check(server)
			good(server)
			time.Sleep(time.Millisecond)
		}
		if most := int(10*time.Second/(takes*(1+filterPause))) + 1; reads-before > most {
			t.Errorf("%d readings within 10 s, want %d at most", reads-before, most)
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
