package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// checks returns everything that this node must check, during a reload including the tracks that the elections still
// depend on.
func (in Inputs) checks() []Spec {
	next := in.next()
	served, suspended := served(next, in.Adopted), in.suspended()
	servers := 0
	for _, v := range next.VirtualServers {
		servers += len(v.RealServers)
	}
	all := make([]Spec, 0, servers+len(next.Tracks))
	for _, v := range next.VirtualServers {
		for _, r := range v.RealServers {
			id := config.ServerID{Service: v.Name, Server: r.Name}
			all = append(all, Spec{
				Subject: config.Subject{Server: id}, Checks: r.Checks, Address: r.Address, Port: v.CheckPort(r), AtLeast: r.ChecksNeeded, Served: served[id],
				Suspended: suspended[v.Name] && len(r.Checks) > 0,
			})
		}
	}
	for _, cfg := range slices.Backward(in.files()) {
		for _, t := range cfg.Tracks {
			subject := config.Subject{Track: config.TrackID(t.Name)}
			if t.Check.Kind != nil && tracked(cfg, t.Name) && !slices.ContainsFunc(all, func(s Spec) bool { return s.Subject == subject }) {
				checks, atLeast := t.Checks()
				all = append(all, Spec{Subject: subject, Checks: checks, Address: t.Address, Port: t.Check.Port, AtLeast: atLeast})
			}
		}
	}
	return all
}

// Tracks returns the tracks that an instance of this node depends on.
func (p Plan) Tracks() []config.Track {
	return slices.DeleteFunc(slices.Clone(p.Config.Tracks), func(t config.Track) bool { return !tracked(p.Config, t.Name) })
}

// tracked reports whether an instance depends on the track; other tracks are not probed.
func tracked(cfg *config.Config, track string) bool {
	return len(usersOf(cfg, track)) > 0
}

// served returns the real servers of a file that are in a table.
func served(cfg *config.Config, table []lvs.Service) map[config.ServerID]bool {
	if len(table) == 0 {
		return nil
	}
	present := map[config.ServerID]bool{}
	found := make(map[lvs.Key][]lvs.Server, len(table))
	for _, s := range table {
		found[s.Key] = s.Servers
	}
	for _, v := range cfg.VirtualServers {
		for one := range v.Services() {
			for _, r := range one.RealServers {
				id := config.ServerID{Service: v.Name, Server: r.Name}
				present[id] = present[id] || slices.ContainsFunc(found[lvs.KeyOf(one)], func(have lvs.Server) bool {
					return have.Address == r.Address && have.Port == r.Port
				})
			}
		}
	}
	return present
}

// Sharing returns the plan with the checks of the previous plan if they are equal, so that they are kept in memory
// once: they are the largest part of a plan.
func (p Plan) Sharing(before Plan) Plan {
	if sameChecks(before.Checks, p.Checks) {
		p.Checks = before.Checks
	}
	if p.Table.file == before.Table.file {
		p.Table.subjects = before.Table.subjects
	}
	return p
}

// sameChecks reports whether two lists are equal, ignoring Served, which matters only at the start.
func sameChecks(a, b []Spec) bool {
	if len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) {
		return true
	}
	return slices.EqualFunc(a, b, func(a, b Spec) bool {
		return a.Subject == b.Subject && a.Address == b.Address && a.Port == b.Port && a.AtLeast == b.AtLeast && a.Suspended == b.Suspended && slices.Equal(a.Checks, b.Checks)
	})
}
