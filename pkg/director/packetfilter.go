package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

const (
	// filterWithin is the deadline of reading the rules. A check that has failed waits for them for filterWait at most,
	// which is less than the time after which the checker gives it up.
	filterWithin = 5 * time.Second
	filterWait   = 80 * time.Millisecond
	// filterShare is the ratio of the time for which rules are used to the duration of reading them: many checks may fail
	// at once, and a host may have thousands of rules. If they cannot be read again in time, they are used for filterAge.
	filterShare = 50
	filterAge   = 10 * time.Second
)

// packetFilter are the packet filter rules of this host. They are read when they are asked for.
type packetFilter struct {
	read func(context.Context, kernel.Family) (firewall.Rules, error)
	turn chan struct{} // semaphore of capacity 1, which protects sets
	sets map[kernel.Family]ruleset
}

// ruleset is the result of reading the rules of a family.
type ruleset struct {
	rules firewall.Rules
	err   error
	begun time.Time
	took  time.Duration
}

func newPacketFilter(k Kernel) *packetFilter {
	return &packetFilter{read: k.Firewall, turn: make(chan struct{}, 1), sets: map[kernel.Family]ruleset{}}
}

// rules returns the rules of a family as they were filterShare times the duration of reading them ago at most.
func (f *packetFilter) rules(ctx context.Context, family kernel.Family) (firewall.Rules, error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return firewall.Rules{}, ctx.Err()
	}
	known := f.sets[family]
	if !known.begun.IsZero() && time.Since(known.begun) < filterShare*known.took {
		return known.rules, known.err
	}
	now := ruleset{begun: time.Now()}
	now.rules, now.err = f.read(ctx, family)
	now.took = time.Since(now.begun)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && known.err == nil && time.Since(known.begun) < filterAge {
		return known.rules, nil
	}
	if ctx.Err() == nil {
		f.sets[family] = now
	}
	return now.rules, now.err
}

// explain turns a failed check into an inconclusive one if the rules of this host drop or reject its packets: the
// server need not be at fault. A rule that cannot be judged, and rules that cannot be read, are not blamed.
func (f *packetFilter) explain(ctx context.Context, r probe.Result, t probe.Target, by func(netip.Addr) (string, error)) probe.Result {
	if r.Code != health.Refused && r.Code != health.Timeout && r.Code != health.Unreachable {
		return r
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), filterWait)
	defer cancel()
	rules, err := f.rules(ctx, kernel.FamilyOf(t.Address.Addr()))
	if err != nil || len(rules.Bases) == 0 {
		return r
	}
	iface, err := by(t.Address.Addr())
	if err != nil {
		return r
	}
	own := netip.AddrPortFrom(t.Source, 0)
	asks := firewall.Packet{Way: firewall.Outgoing, Out: iface, From: own, To: t.Address, Protocol: "tcp"}
	answers := firewall.Packet{Way: firewall.Incoming, In: iface, From: t.Address, To: own, Protocol: "tcp", Tracked: true}
	for _, p := range []firewall.Packet{asks, answers} {
		if v := rules.Judge(p); v.Outcome == firewall.Blocked && (p == asks || r.Code == health.Timeout) {
			r.Code, r.Class = health.NoNetwork, health.Unknown
			r.Cause = fmt.Sprintf("%s; this director's own packet filter stops it: %s", r.Cause, v.Why)
			return r
		}
	}
	return r
}
