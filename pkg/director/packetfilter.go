package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
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
	// once, and a host may have thousands of rules. A failure is used for filterRetry at most. While rules are read again
	// that were used for this time, they are used for filterAge more.
	filterShare = 50
	filterRetry = time.Minute
	// filterPause is the ratio of the pause before rules are read again for failures that have begun since, to the duration
	// of reading.
	filterPause = 3
	filterAge   = 10 * time.Second
)

// packetFilter are the packet filter rules of this host. They are read when they are asked for, by a goroutine of its own:
// nobody waits for a program that hangs, even if it cannot be killed, and there is never more than one for each family.
type packetFilter struct {
	read func(context.Context, kernel.Family) (firewall.Rules, error)

	mu       sync.Mutex // guards all below
	sets     map[kernel.Family]*ruleset
	failures map[check]failure
}

// check is one check of one target.
type check struct {
	address netip.AddrPort
	kind    config.CheckKind
	from    string
}

// failure is a check that fails.
type failure struct{ since, last time.Time }

// failuresKept is the number of failures above which those are forgotten whose check has not been made for a minute: its
// server may be in the cluster file no more.
const failuresKept = 1000

// ruleset is the last result of reading the rules of a family.
type ruleset struct {
	rules   firewall.Rules
	err     error
	begun   time.Time // of the last reading that has ended; zero: none has
	took    time.Duration
	reading chan struct{} // closed at the end of the reading in progress; nil: none
}

func newPacketFilter(read func(context.Context, kernel.Family) (firewall.Rules, error)) *packetFilter {
	return &packetFilter{read: read, sets: map[kernel.Family]*ruleset{}, failures: map[check]failure{}}
}

// rules returns the rules of a family as they were filterShare times the duration of reading them ago at most, or older
// ones if ctx ends before they are read again. A failure to read them is an error for all who ask within that time.
func (f *packetFilter) rules(ctx context.Context, family kernel.Family) (firewall.Rules, error) {
	if wait := f.refresh(ctx, family, time.Time{}); wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.sets[family]
	switch {
	case known.reading == nil || known.usable():
		return known.rules, known.err
	case ctx.Err() != nil:
		return firewall.Rules{}, ctx.Err()
	}
	return known.rules, known.err // another reading has begun since
}

// errNotRead says that the rules have not been read since a failure.
var errNotRead = errors.New("its rules are still being read")

// rulesSince returns the rules as they were at a time or later. If ctx ends before they are read, it returns errNotRead; a
// failure to read them is another error.
func (f *packetFilter) rulesSince(ctx context.Context, family kernel.Family, since time.Time) (firewall.Rules, error) {
	for {
		wait := f.refresh(ctx, family, since)
		if wait != nil {
			select {
			case <-wait:
			case <-ctx.Done():
			}
		}
		f.mu.Lock()
		known := *f.sets[family]
		f.mu.Unlock()
		young := !known.begun.Before(since)
		switch {
		case wait == nil, young && (known.reading == nil || known.usable()):
			return known.rules, known.err
		case ctx.Err() != nil:
			return firewall.Rules{}, errNotRead
		}
	}
}

// refresh begins to read the rules if the known ones are too old, or not those of a time or later, unless that is zero. It
// returns nil if they can be used, and otherwise a channel that is closed when to ask again.
func (f *packetFilter) refresh(ctx context.Context, family kernel.Family, since time.Time) <-chan struct{} {
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
	if !known.begun.IsZero() {
		lasts := time.Since(known.begun) < known.lasts()
		if lasts && (known.err != nil || !known.begun.Before(since)) {
			return nil
		}
		if pause := filterPause*known.took - time.Since(known.begun.Add(known.took)); !since.IsZero() && known.err == nil && pause > 0 {
			ends := make(chan struct{})
			time.AfterFunc(pause, func() { close(ends) })
			return ends
		}
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

// usable reports whether the rules may be used while they are read again.
func (r *ruleset) usable() bool {
	return r.err == nil && !r.begun.IsZero() && time.Since(r.begun) < r.lasts()+filterAge
}

// lasts returns for how long a result is used.
func (r *ruleset) lasts() time.Duration {
	lasts := filterShare * r.took
	if r.err != nil {
		return min(lasts, filterRetry)
	}
	return lasts
}

// failing returns since when a check has failed without a break; bad says whether it fails now.
func (f *packetFilter) failing(c check, bad bool) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !bad {
		delete(f.failures, c)
		return time.Time{}
	}
	now := time.Now()
	known, is := f.failures[c]
	if !is {
		if len(f.failures) >= failuresKept {
			maps.DeleteFunc(f.failures, func(_ check, old failure) bool { return now.Sub(old.last) > time.Minute })
		}
		known.since = now
	}
	known.last = now
	f.failures[c] = known
	return known.since
}

// explain turns a failed check into an inconclusive one if the rules of this host drop or reject its packets: the
// server need not be at fault. They must be those of its first failure or later: a rule may be as young as that. Until they
// are read, the failure is inconclusive, for filterWithin at most. A kernel without rules is not asked. A rule that cannot be
// judged, and rules that cannot be read, are not blamed: otherwise a tool that fails would keep every dead server.
func (f *packetFilter) explain(ctx context.Context, r probe.Result, t *probe.Target, by func(netip.Addr) (string, error)) probe.Result {
	bad := r.Code == health.Refused || r.Code == health.Timeout || r.Code == health.Unreachable
	since := f.failing(check{t.Address, t.Kind, t.From}, bad)
	if !bad {
		return r
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), filterWait)
	defer cancel()
	rules, err := f.rulesSince(ctx, kernel.FamilyOf(t.Address.Addr()), since)
	if errors.Is(err, errNotRead) && time.Since(since) < filterWithin {
		r.Code, r.Class = health.Local, health.Unknown
		r.Cause = fmt.Sprintf("%s; whether this director's own packet filter stops it is not known: %s", r.Cause, err)
		return r
	}
	if err != nil || len(rules.Bases) == 0 {
		return r
	}
	iface, err := by(t.Address.Addr())
	if err != nil {
		return r
	}
	own := netip.AddrPortFrom(t.Source, 0)
	asks := firewall.Packet{Way: firewall.Outgoing, Out: iface, From: own, To: t.Address, Protocol: string(networkOf(t))}
	answers := firewall.Packet{Way: firewall.Incoming, In: iface, From: t.Address, To: own, Protocol: string(networkOf(t)), Tracked: true}
	for _, p := range []firewall.Packet{asks, answers} {
		if v := rules.Judge(p); v.Outcome == firewall.Blocked && (p == asks || r.Code == health.Timeout) {
			r.Code, r.Class = health.NoNetwork, health.Unknown
			r.Cause = fmt.Sprintf("%s; this director's own packet filter stops it: %s", r.Cause, v.Why)
			return r
		}
	}
	return r
}
