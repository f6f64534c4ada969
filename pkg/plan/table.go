package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Table is the desired IPVS table: the virtual servers of a file and the check results of their real servers.
type Table struct {
	Servers  []config.VirtualServer
	Verdicts Verdicts
	// Decisions are those of operators.
	Decisions Decisions
	// Memories are what its pools remember.
	Memories Memories
	// Suspended are the names of the virtual servers that are not checked now.
	Suspended map[string]bool
	// Last is what was known last about their real servers.
	Last LastKnown
	// Starts are its real servers that get their weight by steps.
	Starts   SlowStarts
	file     *config.Config
	node     string        // that local delivery is for
	subjects []PoolSubject // of file, with hooks
}

// TableOf returns the table of a file for a node.
func TableOf(cfg *config.Config, node string, verdicts Verdicts) Table {
	return Table{Servers: cfg.VirtualServers, Verdicts: verdicts, file: cfg, node: node, subjects: subjectsOf(cfg)}
}

// Needed reports whether the file has virtual servers; a director may run elections only.
func (t Table) Needed() bool { return len(t.Servers) > 0 }

// Desired implements reconcile.Target.
func (t Table) Desired(found []lvs.Service) []lvs.Service {
	return append(lvs.Desired(t.Servers, t.Conditions(), found), t.local(t.file)...)
}

// Judged returns the table with other verdicts, and what pools remember then.
func (t Table) Judged(verdicts Verdicts) Table {
	t.Verdicts = verdicts
	t.Last = t.Last.next(t)
	return t.remembering(t.Memories, beginning{}).starting(t.Starts, nil, false, t.Starts.at)
}

// Conditions returns what is known about the real servers of these virtual servers, without any those of all, and what follows
// for them from what their pools remember and from slow starts.
func (t Table) Conditions(of ...config.VirtualServer) func(config.ServerID) lvs.Condition {
	if len(of) == 0 {
		of = t.Servers
	}
	return t.Starts.apply(of, t.reserved(of...))
}

// reserved is Conditions without slow starts.
func (t Table) reserved(of ...config.VirtualServer) func(config.ServerID) lvs.Condition {
	if len(of) == 0 {
		of = t.Servers
	}
	return reserve(of, t.Memories, t.Condition)
}

// Condition returns the result of the checks of a real server, and an operator's decision.
func (t Table) Condition(server config.ServerID) lvs.Condition {
	c := t.found(server)
	if last, is := t.Last.byName[server]; is && !c.Known {
		asked := c.Asked
		c = last
		c.Asked = asked
	}
	c.Decision = t.Decisions.Of(server)
	return c
}

// local returns the services of local delivery by a file.
func (t Table) local(cfg *config.Config) []lvs.Service {
	if cfg == nil {
		return nil
	}
	return lvs.LocalServices(cfg, t.node)
}

func (t Table) equal(b Table) bool {
	if t.file != b.file || !t.Memories.equal(b.Memories) || !t.Starts.equal(b.Starts) {
		return false
	}
	for _, v := range t.Servers {
		for _, r := range v.RealServers {
			if id := (config.ServerID{Service: v.Name, Server: r.Name}); t.Condition(id) != b.Condition(id) {
				return false
			}
		}
	}
	return true
}

// Serves reports whether the real servers of any of the virtual servers take new connections. One is enough: a service that is
// down on all directors must not block the takeover of the others. Sorry servers do not count, nor those
// whose checks fail. A virtual server whose checks are suspended counts: see unasked.
func (t Table) Serves(serving map[lvs.Key]bool) bool {
	return slices.ContainsFunc(t.Servers, func(v config.VirtualServer) bool {
		return t.Suspended[v.Name] || t.healthy(v) && slices.ContainsFunc(lvs.KeysOf(v), func(k lvs.Key) bool { return serving[k] })
	})
}

// OnNewVIPs returns the virtual servers on addresses that become VIPs when the elections follow the next file as well:
// a VIP that is added before them would refuse its clients.
func (in Inputs) OnNewVIPs() []lvs.Key {
	old, next := isVIP(in.Config), isVIP(in.next())
	var added []lvs.Key
	for _, v := range in.next().VirtualServers {
		for one := range v.Endpoints() {
			if key := lvs.KeyOf(one); next(one.Address) && !old(one.Address) {
				added = append(added, key)
			}
		}
	}
	return added
}

// Undecided returns the services whose clients are at sorry servers and may not be in a moment: while a real server has not been
// checked yet, or the table, of which have was read last, does not follow the checks yet.
func (t Table) Undecided(have []lvs.Service) []lvs.Key {
	var all []lvs.Key
	for _, v := range t.Servers {
		if !v.Has(config.Sorry) {
			continue
		}
		if t.Memory(v).Sorry && t.unchecked(v) {
			all = append(all, lvs.KeysOf(v)...)
			continue
		}
		for one := range v.Services() {
			key := lvs.KeyOf(one)
			at := slices.IndexFunc(have, func(s lvs.Service) bool { return s.Key == key })
			if at >= 0 && !t.Memory(v).Sorry && onlySorry(one, have[at]) {
				all = append(all, key)
			}
		}
	}
	return all
}

// unchecked reports whether nothing is known about a real server that may have connections.
func (t Table) unchecked(v config.VirtualServer) bool {
	return slices.ContainsFunc(v.RealServers, func(r config.RealServer) bool {
		c := t.Condition(config.ServerID{Service: v.Name, Server: r.Name})
		return r.Role != config.Sorry && !c.Known && c.Decision.Admission == lvs.Admitted
	})
}

// onlySorry reports whether a service has none of its real servers with a weight.
func onlySorry(v config.VirtualServer, have lvs.Service) bool {
	return !slices.ContainsFunc(have.Servers, func(s lvs.Server) bool {
		return s.TakesConnections() && slices.ContainsFunc(v.RealServers, func(r config.RealServer) bool {
			return r.Role != config.Sorry && r.Address == s.Address && r.Port == s.Port
		})
	})
}
