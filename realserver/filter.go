package realserver

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// filterEvery is how often the packet filter rules are read, for which there are no events; filterWithin is the
	// deadline, and filterShare the minimum ratio of the pause to the duration: a machine may have thousands of rules.
	filterEvery  = 3 * time.Second
	filterWithin = 5 * time.Second
	filterShare  = 20
)

// filterReader is the task that reads the packet filter rules of this node. It changes none.
type filterReader struct {
	task.Latch // closed when it runs
	read       func(context.Context, kernel.Family) (firewall.Rules, error)
	asked      atomic.Pointer[[]kernel.Family] // those that the loop needs
	poke       chan struct{}                   // they have changed
	known      atomic.Pointer[map[kernel.Family]ruleset]
}

type ruleset struct {
	rules firewall.Rules
	err   error
}

// Name implements task.Task.
func (f *filterReader) Name() string { return "the reader of the packet filter" }

// Run reads the rules until ctx ends.
func (f *filterReader) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	f.Close()
	for ctx.Err() == nil {
		heart.Beat()
		begun := time.Now()
		f.look(ctx)
		for wait := max(filterEvery, filterShare*time.Since(begun)); wait > 0 && ctx.Err() == nil; wait -= heartbeat.Every {
			heart.Beat()
			select {
			case <-ctx.Done():
			case <-f.poke:
				wait = 0
			case <-time.After(min(wait, heartbeat.Every)):
			}
		}
	}
	return nil
}

// look reads the rules that are needed. The next pass of the loop sees them.
func (f *filterReader) look(ctx context.Context) {
	asked := f.asked.Load()
	if asked == nil || len(*asked) == 0 {
		return
	}
	known := map[kernel.Family]ruleset{}
	for _, family := range *asked {
		limited, cancel := context.WithTimeout(ctx, filterWithin)
		var set ruleset
		set.rules, set.err = f.read(limited, family)
		cancel()
		known[family] = set
	}
	if ctx.Err() == nil {
		f.known.Store(&known)
	}
}

// ask says which families are needed.
func (f *filterReader) ask(want State) {
	var families []kernel.Family
	for _, m := range want.Memberships {
		families = append(families, kernel.FamilyOf(m.destination().Addr()))
		if m.Forward == config.TUN {
			families = append(families, kernel.FamilyOf(m.Address))
		}
	}
	slices.Sort(families)
	families = slices.Compact(families)
	if before := f.asked.Swap(&families); before == nil || !slices.Equal(*before, families) {
		select {
		case f.poke <- struct{}{}:
		default:
		}
	}
}

// rules returns what was read last; known is false before the first reading.
func (f *filterReader) rules(family kernel.Family) (set ruleset, known bool) {
	if f.read == nil {
		return ruleset{}, true
	}
	all := f.known.Load()
	if all == nil {
		return ruleset{}, false
	}
	set, known = (*all)[family]
	return set, known
}

// packets are the packets with which a client's connection arrives here: in a tunnel first the outer one.
func (a *Agent) packets(m Membership) []firewall.Packet {
	nic := ""
	for _, own := range a.addresses {
		if own.Prefix.Addr() == m.Address {
			nic = own.Interface
		}
	}
	arriving := firewall.Packet{Way: firewall.Incoming, In: nic, To: m.destination(), Protocol: m.Protocol}
	if m.Forward != config.TUN {
		return []firewall.Packet{arriving}
	}
	outer := firewall.Packet{Way: firewall.Incoming, In: nic, To: netip.AddrPortFrom(m.Address, 0), Protocol: "ipip"}
	if kernel.FamilyOf(m.VIP.Addr()) == kernel.IPv6 {
		outer.Protocol = "ipv6"
	}
	switch m.Tunnel.Type {
	case config.GRE:
		outer.Protocol = "gre"
	case config.GUE:
		outer.Protocol, outer.To = "udp", netip.AddrPortFrom(m.Address, m.Tunnel.Port)
	}
	arriving.In = m.device()
	return []firewall.Packet{outer, arriving}
}

// redirected judges whether the rules of this node send a client's connection elsewhere than to a socket of the service,
// as those of docker do. why says why that is not known.
func (a *Agent) redirected(m Membership) (is bool, why string) {
	set, known := a.filter.rules(kernel.FamilyOf(m.destination().Addr()))
	switch {
	case !known:
		return true, "" // until it is known
	case set.err != nil:
		return false, set.err.Error()
	}
	packets := a.packets(m)
	switch v := set.rules.Redirected(packets[len(packets)-1]); v.Outcome {
	case firewall.Blocked:
		return true, ""
	case firewall.Unclear:
		return false, v.Why
	default:
		return false, ""
	}
}

// filtered returns what in the rules of this node stops or may stop the connections of a virtual server's clients; its code
// is "" if nothing does.
func (a *Agent) filtered(m Membership) (f problem.Finding) {
	if m.refusal() != "" {
		return f
	}
	const unclear = "cannot tell whether the packet filter of this machine drops the packets of clients: "
	packets := a.packets(m)
	sets := make([]ruleset, len(packets)) // the rules of each packet's family
	for n, p := range packets {
		var known bool
		if sets[n], known = a.filter.rules(kernel.FamilyOf(p.To.Addr())); !known {
			return f
		}
		if err := sets[n].err; err != nil {
			return problem.Finding{Code: problem.ServiceUnclear, Text: unclear + err.Error()}
		}
	}
	if is, why := a.redirected(m); is || why != "" {
		return f
	}
	worst := firewall.Passes
	for n, p := range packets {
		set := sets[n]
		v := set.rules.Judge(p)
		if v.Outcome <= worst {
			continue
		}
		switch worst = v.Outcome; worst {
		case firewall.Blocked:
			return problem.Finding{Code: problem.ServiceBlocked, Text: "the packet filter of this machine drops the packets of clients: " + v.Why, Remedy: set.rules.Remedy(p, v)}
		case firewall.Unclear:
			f = problem.Finding{Code: problem.ServiceUnclear, Text: unclear + v.Why}
		case firewall.Limited:
			f = problem.Finding{Code: problem.ServiceLimited, Text: "the packet filter of this machine drops packets of clients above a limit: " + v.Why, Remedy: set.rules.Remedy(p, v)}
		}
	}
	return f
}

// blocked returns the rule of this node that stops the connections of a virtual server's clients, or "".
func (a *Agent) blocked(m Membership) (why string) {
	if f := a.filtered(m); f.Code == problem.ServiceBlocked {
		return f.Text
	}
	return ""
}

// filteredServices returns the problems of the services whose clients the packet filter of this node stops or may stop.
func (a *Agent) filteredServices(want State) []problem.Finding {
	var all []problem.Finding
	for _, m := range want.Memberships {
		f := a.filtered(m)
		if f.Code == "" {
			continue
		}
		f.Subject, f.Text = m.Name, m.Name+": "+f.Text
		if f.Remedy == "" {
			f.Remedy = "try it from a client: " + m.try()
		}
		all = append(all, f)
	}
	return all
}
