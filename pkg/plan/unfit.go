package plan

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// poolsOn returns the indexes of the virtual servers by their addresses.
func (t Table) poolsOn() map[netip.Addr][]int {
	on := make(map[netip.Addr][]int, len(t.Servers))
	for n, v := range t.Servers {
		for one := range v.Endpoints() {
			if all := on[one.Address]; len(all) == 0 || all[len(all)-1] != n {
				on[one.Address] = append(all, n)
			}
		}
	}
	return on
}

// reach is whether this director can send to the real servers of a pool.
type reach uint8

const (
	noMatter    reach = iota // every real server is down or drained
	unreachable              // it has no way to any of those that take connections
	reachable
)

// reach returns whether this director can send to a virtual server's real servers. One that is down for another reason
// does not matter: it is down for every director. Nor do sorry servers.
func (t Table) reach(v config.VirtualServer) reach {
	result := noMatter
	for _, r := range v.RealServers {
		if r.Role == config.Sorry {
			continue
		}
		id := config.ServerID{Service: v.Name, Server: r.Name}
		verdict, _ := t.Verdicts.Of(config.Subject{Server: id})
		switch {
		case t.Decisions.Of(id).Admission != lvs.Admitted:
		case verdict.NoNetwork:
			result = unreachable
		case !t.Decisions.admits(id, r.Weight) || verdict.Known && !verdict.Up:
		default:
			return reachable
		}
	}
	return result
}

// unfit returns why an instance with these virtual servers serves worse than any other director, "" if it does not: this
// director has no way to any real server of any of them. Which servers are up is then unknown, so the table is kept, but
// another director may reach them. If it reaches those of one virtual server it is fit, because a file that adds
// another one on a network that no director has must not stop the first.
func (t Table) unfit(pools []int) string {
	var names []string
	for _, n := range pools {
		switch v := t.Servers[n]; t.reach(v) {
		case reachable:
			return ""
		case unreachable:
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("this director has no way to the real servers of %s: check its interfaces, addresses, routes and packet filter",
		strings.Join(names[:min(len(names), 3)], ", "))
}

// unfit returns why an instance serves worse than any other director. A carrier that is lost for less than
// interface_down_delay is no reason, nor are checks that have failed meanwhile and are not repeated yet.
func (p Plan) unfit(i Instance) string {
	if i.Unsteady != "" {
		return ""
	}
	return p.Table.unfit(i.pools)
}

// Unreachable returns the names of the virtual servers for which this director has no way to any real server that takes
// connections.
func (p Plan) Unreachable() []string {
	var names []string
	for _, v := range p.Table.Servers {
		if p.Table.reach(v) == unreachable {
			names = append(names, v.Name)
		}
	}
	return names
}
