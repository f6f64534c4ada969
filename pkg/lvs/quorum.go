package lvs

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Memory is what a pool remembers, because it cannot be seen from the conditions of its servers. The zero value is that of a
// pool whose quorum is met. It is comparable.
type Memory struct {
	Lost  bool // the quorum was lost, and has not been met again
	Sorry bool // the sorry servers have taken the place of the real servers
	// Standby: the standby servers have taken the place of the primary ones. Failed: because too few of these were up; otherwise
	// only until enough is known about them.
	Standby, Failed bool
	// Good are the names of the servers that were up when the share of those was last above the panic threshold, or are up, each
	// with a comma after it; "" without a panic threshold. Unhealthy: only such whose checks fail now have connections.
	Good      string
	Unhealthy bool
	// Found are the names of the servers that took connections when the pool was found in the table, and of which nothing has been
	// known since, each with a comma after it. They count as if they were up, except for a quorum that is lost.
	Found string
	// Awaited are the names of the standby servers that had the connections when the director was last stopped, and have had no
	// result since, each with a comma after it. The primary servers wait for that.
	Awaited string
}

// OnStandby is that a standby server belongs to a pool whose standby servers have the connections, and keep them when the primary
// ones are up.
type OnStandby struct {
	Service Key // the first one of its virtual server
	Server  netip.AddrPort
}

// Compare orders them by pool and server.
func (o OnStandby) Compare(other OnStandby) int {
	return cmp.Or(o.Service.Compare(other.Service), o.Server.Compare(other.Server))
}

// OnStandby returns what a director that is stopped must remember of a pool, to give the connections to the same servers later.
func (m Memory) OnStandby(v config.VirtualServer) []OnStandby {
	if !v.StaysOnStandby || !m.Failed {
		return nil
	}
	var all []OnStandby
	for _, r := range v.RealServers {
		if r.Role == config.Standby {
			all = append(all, OnStandby{KeyOf(v), netip.AddrPortFrom(r.Address, r.Port)})
		}
	}
	return all
}

// Resume returns the memory of a pool that begins, with what was remembered of it when the director was last stopped. What its
// primary servers have in the table is newer, and servers that are not on standby any more do not count.
func (m Memory) Resume(v config.VirtualServer, remembered []OnStandby) Memory {
	if !v.StaysOnStandby || m.Failed || len(remembered) == 0 {
		return m
	}
	awaited := ""
	for _, r := range v.RealServers {
		switch {
		case r.Role == config.Regular && m.found(r.Name):
			return m
		case r.Role == config.Standby && slices.Contains(remembered, OnStandby{KeyOf(v), netip.AddrPortFrom(r.Address, r.Port)}):
			awaited += r.Name + ","
		}
	}
	if awaited != "" {
		m.Awaited, m.Standby, m.Failed = awaited, true, true
	}
	return m
}

// Begin returns the memory of a pool of which nothing is remembered: as its services were found in a table, if one of them was there,
// otherwise as its servers are before their first check. So it is with keepalived and alpha. The table is the kernel's at the start,
// and later that of the file before.
func Begin(v config.VirtualServer, found map[Key]Service) Memory {
	known := false
	takes := make([]bool, len(v.RealServers))
	for one := range v.Services() {
		service, is := found[KeyOf(one)]
		known = known || is
		entries := byAddress(service.Servers)
		for i, r := range one.RealServers {
			entry, present := entries[Server{Address: r.Address, Port: r.Port}.AddrPort()]
			takes[i] = takes[i] || takesConnections(present, entry.Weight)
		}
	}
	if !known {
		return Memory{Lost: !v.InitialUp}
	}
	m := Memory{Lost: true}
	primary, standby := false, false
	for i, r := range v.RealServers {
		if !takes[i] {
			continue
		}
		m.Found += r.Name + ","
		if r.Role == config.Sorry {
			m.Sorry = true
			continue
		}
		m.Lost = false
		primary, standby = primary || r.Role == config.Regular, standby || r.Role == config.Standby
		if v.PanicThreshold > 0 {
			m.Good += r.Name + ","
		}
	}
	m.Sorry = m.Sorry && m.Lost
	m.Standby = standby && !primary
	m.Failed = m.Standby
	return m
}

// Next returns the memory of a pool after a change of the conditions of its servers. Unknown is not down: a server of which nothing
// is known keeps a quorum from being lost and primaries from being too few, but does not suffice for the opposite.
//
// The quorum is met while the weights of the real servers that are up and admitted add up to it: it is lost when they are 0 or
// less than the quorum minus the hysteresis, and met again when they are at least the quorum plus the hysteresis (keepalived,
// update_quorum_state).
//
// Sorry servers take the place of the real servers while the quorum is lost, or no real server is in the table, and one of them
// can. If none can, the real servers that are left go on. Standby servers take the place of the primary ones likewise, while too
// few of these are up.
//
// While the share of real servers that are up is below the panic threshold, those that fail are kept.
func (m Memory) Next(v config.VirtualServer, condition func(config.ServerID) Condition) Memory {
	m = m.heard(v, condition)
	all := m.tally(v, condition)
	quorum := max(v.Quorum, 1)
	switch {
	case m.Lost && all.sure >= quorum+v.Hysteresis:
		m.Lost = false
	case !m.Lost && (all.possible == 0 || all.possible < quorum-v.Hysteresis):
		m.Lost = true
	}
	nobody := all.sure == 0 && all.primary.found+all.standby.found == 0
	m.Sorry = (m.Lost || nobody) && (all.sorry.up > 0 || all.sorry.found > 0 && (m.Sorry || nobody))

	needed := v.PrimariesNeeded.Of(all.primary.all)
	switch {
	case !m.Failed && all.primary.up+all.primary.unknown < needed && all.standby.up > 0:
		m.Failed = true
	case m.Failed && (!all.standby.usable() || !v.StaysOnStandby && all.primary.up >= needed):
		m.Failed = false
	}
	m.Standby = m.Failed || !all.primary.usable() && all.standby.usable()
	return m.keeping(v, all, condition)
}

// Decided reports whether a quorum that is lost could not be met even if all servers were up of which nothing is known.
func (m Memory) Decided(v config.VirtualServer, condition func(config.ServerID) Condition) bool {
	return m.tally(v, condition).possible < max(v.Quorum, 1)+v.Hysteresis
}

// keeping returns the memory with the servers that are good, or were when there were enough of them.
func (m Memory) keeping(v config.VirtualServer, all tallied, condition func(config.ServerID) Condition) Memory {
	if v.PanicThreshold == 0 {
		m.Good, m.Unhealthy = "", false
		return m
	}
	panics := (all.primary.up+all.primary.unknown)*100 < v.PanicThreshold*all.primary.all
	var good strings.Builder
	kept := false
	for _, r := range v.RealServers {
		c := condition(config.ServerID{Service: v.Name, Server: r.Name})
		up := c.Known && c.Up || !c.Known && m.was(r.Name)
		if r.Role == config.Sorry || c.Decision.Admission != Admitted || !up && !(panics && m.was(r.Name)) {
			continue
		}
		good.WriteString(r.Name + ",")
		kept = kept || c.Known && !c.Up
	}
	m.Good, m.Unhealthy = good.String(), kept && all.sure == 0
	return m
}

// heard returns the memory without the servers that were found, or are awaited, and of which something is known now. An awaited one
// whose check could not be made counts as found: unknown is not down.
func (m Memory) heard(v config.VirtualServer, condition func(config.ServerID) Condition) Memory {
	if m.Found == "" && m.Awaited == "" {
		return m
	}
	var found, awaited strings.Builder
	for _, r := range v.RealServers {
		switch c := condition(config.ServerID{Service: v.Name, Server: r.Name}); {
		case c.Known:
		case m.found(r.Name), m.awaits(r.Name) && c.Asked:
			found.WriteString(r.Name + ",")
		case m.awaits(r.Name):
			awaited.WriteString(r.Name + ",")
		}
	}
	m.Found, m.Awaited = found.String(), awaited.String()
	return m
}

// was reports whether a server was good.
func (m Memory) was(name string) bool { return strings.Contains(","+m.Good, ","+name+",") }

func (m Memory) found(name string) bool { return strings.Contains(","+m.Found, ","+name+",") }

func (m Memory) awaits(name string) bool { return strings.Contains(","+m.Awaited, ","+name+",") }

// Apply returns the condition of a real server with what follows from the memory of its pool.
func (m Memory) Apply(r config.RealServer, c Condition) Condition {
	switch r.Role {
	case config.Sorry:
		c.Reserve = !m.Sorry
	case config.Standby:
		c.Reserve = m.Sorry || !m.Standby
	default:
		c.Reserve = m.Sorry || m.Standby
	}
	c.Kept, c.Found = m.was(r.Name), m.found(r.Name)
	return c
}

// Keeps reports whether servers whose checks fail keep their entries. Those of a pool whose sorry servers have the clients do not.
func (m Memory) Keeps(v config.VirtualServer, condition func(config.ServerID) Condition) bool {
	return !m.Sorry && slices.ContainsFunc(v.RealServers, func(r config.RealServer) bool {
		c := condition(config.ServerID{Service: v.Name, Server: r.Name})
		return m.was(r.Name) && c.Known && !c.Up
	})
}

// Healthy reports whether real servers whose checks do not fail have the connections.
func (m Memory) Healthy() bool { return !m.Sorry && !m.Unhealthy }

// Remembers reports whether the entries of a pool, or its hooks, depend on its past.
func Remembers(v config.VirtualServer) bool { return v.TellsQuorum || RemembersEntries(v) }

// RemembersEntries reports whether the entries of a pool depend on its past. They do not because its quorum has hooks.
func RemembersEntries(v config.VirtualServer) bool {
	return v.Quorum > 1 || v.PanicThreshold > 0 || v.Has(config.Sorry) || v.Has(config.Standby)
}

// tallied are the servers of a pool, counted.
type tallied struct {
	sure, possible          int // the sum of the weights of the real servers, without and with those of which nothing is known
	primary, standby, sorry tier
}

// tier is the number of servers with one role: all that may have connections, those of them that are up, and those of which
// nothing is known, with those of these that were found in the table, and those that are awaited.
type tier struct{ all, up, unknown, found, awaited int }

// usable reports whether one of them can take connections: one of which nothing is known can if it did.
func (t tier) usable() bool { return t.up+t.found+t.awaited > 0 }

func (m Memory) tally(v config.VirtualServer, condition func(config.ServerID) Condition) (all tallied) {
	for _, r := range v.RealServers {
		c := condition(config.ServerID{Service: v.Name, Server: r.Name})
		initially := !c.Known && v.InitialUp && r.Role != config.Sorry
		weight := c.Whole(r.Weight)
		if c.Decision.Admission != Admitted || weight == 0 {
			continue
		}
		of := &all.primary
		switch r.Role {
		case config.Standby:
			of = &all.standby
		case config.Sorry:
			of = &all.sorry
		}
		of.all++
		up := c.Known && c.Up || initially
		switch {
		case up:
			of.up++
		case !c.Known:
			of.unknown++
			switch {
			case m.found(r.Name):
				of.found++
			case m.awaits(r.Name):
				of.awaited++
			}
		}
		if r.Role == config.Sorry {
			continue
		}
		if up {
			all.sure += weight
		}
		if up || !c.Known {
			all.possible += weight
		}
	}
	return all
}
