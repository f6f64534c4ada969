package plan

import (
	"maps"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// LastKnown is what was known last about the real servers of virtual servers with ha_suspend: it counts while nothing is known about
// them, because their checks are suspended or have had no result since. It is immutable; the zero value has none.
type LastKnown struct {
	of     map[lastEntry]lvs.Condition // survives a new name
	byName map[config.ServerID]lvs.Condition
}

type lastEntry struct {
	service lvs.Key
	server  netip.AddrPort
}

// next returns it with the present verdicts of a table.
func (l LastKnown) next(t Table) LastKnown {
	var next LastKnown
	for _, v := range t.Servers {
		if !v.Suspends {
			continue
		}
		for _, r := range v.RealServers {
			id, at := config.ServerID{Service: v.Name, Server: r.Name}, lastEntry{lvs.KeyOf(v), netip.AddrPortFrom(r.Address, r.Port)}
			c, known := l.of[at]
			if now := t.found(id); now.Known {
				c, known = now, true
			}
			if !known {
				continue
			}
			if next.of == nil {
				next = LastKnown{map[lastEntry]lvs.Condition{}, map[config.ServerID]lvs.Condition{}}
			}
			next.of[at], next.byName[id] = c, c
		}
	}
	if maps.Equal(l.of, next.of) && maps.Equal(l.byName, next.byName) {
		return l
	}
	return next
}

// found returns what the checks of a real server say now.
func (t Table) found(server config.ServerID) lvs.Condition {
	v, _ := t.Verdicts.Of(config.Subject{Server: server})
	return lvs.Condition{Known: v.Known, Up: v.Up, Asked: v.Code != "" && !v.Undecided, Full: v.Full, Weighted: v.Weighted, Weight: v.Weight}
}
