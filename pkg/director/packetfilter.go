package director

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
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
	// filterShare is the ratio of the time for which a result is used to the duration of reading: many checks may fail at
	// once, and a host may have thousands of rules. A failure is used for filterRetry at most. Rules that cannot be read
	// again in time are used for filterAge.
	filterShare = 50
	filterRetry = time.Minute
	filterAge   = 10 * time.Second
)

// packetFilter are the packet filter rules of this host. They are read when they are asked for, by a goroutine of its own:
// nobody waits for a program that hangs, even if it cannot be killed, and there is never more than one for each family.
type packetFilter struct {
	read func(context.Context, kernel.Family) (firewall.Rules, error)

	mu   sync.Mutex // guards all below
	sets map[kernel.Family]*ruleset
}

// ruleset is the last result of reading the rules of a family.
type ruleset struct {
	rules   firewall.Rules
	err     error
	begun   time.Time // of the last reading that has ended; zero: none has
	took    time.Duration
	reading chan struct{} // closed at the end of the reading in progress; nil: none
}

func newPacketFilter(read func(context.Context, kernel.Family) (firewall.Rules, error)) *packetFilter {
	return &packetFilter{read: read, sets: map[kernel.Family]*ruleset{}}
}

// rules returns the rules of a family as they were filterShare times the duration of reading them ago at most, or older
// ones if ctx ends before they are read again. A failure to read them is an error for all who ask within that time.
func (f *packetFilter) rules(ctx context.Context, family kernel.Family) (firewall.Rules, error) {
	reading := f.refresh(ctx, family)
	if reading != nil {
		select {
		case <-reading:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.sets[family]
	switch {
	case known.reading == nil || known.err == nil && time.Since(known.begun) < filterAge:
		return known.rules, known.err
	case ctx.Err() != nil:
		return firewall.Rules{}, ctx.Err()
	}
	return known.rules, known.err // another reading has begun since
}

// refresh begins to read the rules if the known ones are too old. It returns nil if they are not, and otherwise a channel
// that is closed at the end.
func (f *packetFilter) refresh(ctx context.Context, family kernel.Family) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.sets[family]
	if known == nil {
		known = &ruleset{}
		f.sets[family] = known
	}
	if known.reading != nil {
		return known.reading
	}
	if !known.begun.IsZero() && time.Since(known.begun) < known.lasts() {
		return nil
	}
	done := make(chan struct{})
	known.reading = done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), filterWithin)
	go func() {
		defer cancel()
		begun := time.Now()
		rules, err := f.read(ctx, family)
		f.mu.Lock()
		defer f.mu.Unlock()
		*known = ruleset{rules: rules, err: err, begun: begun, took: time.Since(begun)}
		close(done)
	}()
	return done
}

// lasts returns for how long a result is used.
func (r *ruleset) lasts() time.Duration {
	lasts := filterShare * r.took
	if r.err != nil {
		return min(lasts, filterRetry)
	}
	return lasts
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
