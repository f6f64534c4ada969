package plan

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Forecast is what a reload would change in the table.
type Forecast struct {
	// Ops are the changes that the reload would make, Later those that follow when the checks of real servers pass about
	// which nothing is known yet.
	Ops, Later []lvs.Op
	Removal    lvs.Removal
}

// Foresee returns the changes from have, the content of the kernel's table, to the table of another file. decisions are
// those of operators about its servers; ours reports whether a virtual server may be deleted.
func (t Table) Foresee(cfg *config.Config, have []lvs.Service, decisions Decisions, ours func(lvs.Key) bool) Forecast {
	found, condition := t.known(have), t.after(cfg.VirtualServers, decisions)
	local := t.local(cfg)
	before := func() []lvs.Service { return t.Desired(have) }
	memories := remember(cfg.VirtualServers, condition, t.Memories, beginning{found: before})
	reserved := reserve(cfg.VirtualServers, memories, condition)
	starts := t.Starts.next(cfg.VirtualServers, reserved, before, false, t.Starts.at)
	now := append(lvs.Desired(cfg.VirtualServers, starts.apply(cfg.VirtualServers, reserved), found), local...)
	checked := func(id config.ServerID) lvs.Condition {
		c := condition(id)
		if !c.Known {
			c = lvs.Condition{Known: true, Up: true, Decision: c.Decision}
		}
		return c
	}
	memories = remember(cfg.VirtualServers, checked, memories, beginning{})
	reserved = reserve(cfg.VirtualServers, memories, checked)
	starts = starts.next(cfg.VirtualServers, reserved, nil, false, t.Starts.at)
	later := append(lvs.Desired(cfg.VirtualServers, starts.apply(cfg.VirtualServers, reserved), found), local...)
	f := Forecast{Ops: lvs.Diff(now, have, ours), Removal: lvs.Removed(t.Servers, cfg.VirtualServers)}
	f.Later = lvs.Diff(later, lvs.Apply(have, f.Ops), ours)
	return f
}

// known returns the entries of have that this table names: for what a new file adds it does not matter what the kernel
// has.
func (t Table) known(have []lvs.Service) []lvs.Service {
	named := map[lvs.Key]map[netip.AddrPort]bool{}
	for _, v := range t.Servers {
		for one := range v.Services() {
			key := lvs.KeyOf(one)
			if named[key] == nil {
				named[key] = map[netip.AddrPort]bool{}
			}
			for _, r := range one.RealServers {
				named[key][netip.AddrPortFrom(r.Address, r.Port)] = true
			}
		}
	}
	found := make([]lvs.Service, 0, len(have))
	for _, s := range have {
		s.Servers = slices.DeleteFunc(slices.Clone(s.Servers), func(r lvs.Server) bool { return !named[s.Key][r.AddrPort()] })
		found = append(found, s)
	}
	return found
}

// after returns what would be known after a reload about the real servers of other virtual servers: an entry keeps what
// is known about it, whatever its names and checks are, and a new entry has what the same checks of the same address and
// port have found for another virtual server (see package checker).
func (t Table) after(next []config.VirtualServer, decisions Decisions) func(config.ServerID) lvs.Condition {
	type entry struct {
		key    lvs.Key
		server netip.AddrPort
	}
	same, shared := map[entry]lvs.Condition{}, map[netip.AddrPort]config.RealServer{}
	owner := map[netip.AddrPort]config.ServerID{}
	for _, v := range t.Servers {
		for one := range v.Services() {
			for _, r := range one.RealServers {
				same[entry{lvs.KeyOf(one), netip.AddrPortFrom(r.Address, r.Port)}] = t.Condition(config.ServerID{Service: v.Name, Server: r.Name})
			}
		}
		for _, r := range v.RealServers {
			at := netip.AddrPortFrom(r.Address, v.CheckPort(r))
			shared[at], owner[at] = r, config.ServerID{Service: v.Name, Server: r.Name}
		}
	}
	before := func(v config.VirtualServer, i int) (lvs.Condition, bool) {
		for one := range v.Services() {
			r := one.RealServers[i]
			if condition, is := same[entry{lvs.KeyOf(one), netip.AddrPortFrom(r.Address, r.Port)}]; is {
				return condition, true
			}
		}
		return lvs.Condition{}, false
	}
	known := map[config.ServerID]lvs.Condition{}
	for _, v := range next {
		for i, r := range v.RealServers {
			condition, is := before(v, i)
			at := netip.AddrPortFrom(r.Address, v.CheckPort(r))
			switch other, checked := shared[at]; {
			case len(r.Checks) == 0: // as health.All
				condition = lvs.Condition{Known: true, Up: true}
			case is:
			case checked && slices.Equal(other.Checks, r.Checks):
				condition = t.Condition(owner[at])
			}
			id := config.ServerID{Service: v.Name, Server: r.Name}
			condition.Decision = decisions.Of(id)
			known[id] = condition
		}
	}
	return func(id config.ServerID) lvs.Condition { return known[id] }
}
