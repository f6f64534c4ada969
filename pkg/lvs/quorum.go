package lvs

import "github.com/lvs-director/lvs-director/pkg/config"

// Memory is what a pool remembers, because it cannot be seen from the conditions of its servers. The zero value is that of a
// pool whose quorum is met. It is comparable.
type Memory struct {
	Lost    bool // the quorum was lost, and has not been met again
	Sorry   bool // the sorry servers have taken the place of the real servers
	Adopted bool // the pool was found in the table at the start, and nothing is known yet about some of its servers
}

// Begin returns the memory of a pool of which nothing is remembered: as found in the kernel's table at the start, if it was there
// (known), otherwise as its servers are before their first check. So it is with keepalived and alpha.
func Begin(v config.VirtualServer, found Service, known bool) Memory {
	if !known {
		return Memory{Lost: !v.InitialUp}
	}
	m := Memory{Lost: true, Adopted: true}
	entries := byAddress(found.Servers)
	for _, r := range v.RealServers {
		entry, present := entries[Server{Address: r.Address, Port: r.Port}.AddrPort()]
		switch {
		case !takesConnections(present, entry.Weight):
		case r.Role == config.Sorry:
			m.Sorry = true
		default:
			m.Lost = false
		}
	}
	m.Sorry = m.Sorry && m.Lost
	return m
}

// Next returns the memory of a pool after a change of the conditions of its servers.
//
// The quorum is met while the weights of the real servers that are up and admitted add up to it: it is lost when they are 0 or
// less than the quorum minus the hysteresis, and met again when they are at least the quorum plus the hysteresis (keepalived,
// update_quorum_state). Unknown is not down: a server of which nothing is known can keep a quorum from being lost, but cannot
// make it met.
//
// Sorry servers take the place of the real servers while the quorum is lost, or no real server is in the table, and one of them
// can. If none can, the real servers that are left go on.
func (m Memory) Next(v config.VirtualServer, condition func(config.ServerID) Condition) Memory {
	sure, possible := 0, 0 // the sum of the weights, without and with the servers of which nothing is known
	usable, unknown, waiting := false, false, false
	for _, r := range v.RealServers {
		c := condition(config.ServerID{Service: v.Name, Server: r.Name})
		weight := 0
		if c.Decision.Admission == Admitted {
			weight = c.weight(r.Weight)
		}
		switch {
		case r.Role == config.Sorry:
			usable = usable || weight > 0 && c.Known && c.Up
			unknown = unknown || weight > 0 && !c.Known
			waiting = waiting || !c.Known
		case c.Known && c.Up:
			sure, possible = sure+weight, possible+weight
		case !c.Known && v.InitialUp:
			sure, possible = sure+weight, possible+weight
		case !c.Known:
			possible, waiting = possible+weight, true
		}
	}
	quorum := max(v.Quorum, 1)
	switch {
	case m.Lost && sure >= quorum+v.Hysteresis:
		m.Lost = false
	case !m.Lost && (possible == 0 || possible < quorum-v.Hysteresis):
		m.Lost = true
	}
	m.Adopted = m.Adopted && waiting
	nobody := sure == 0 && !(m.Adopted && possible > 0)
	m.Sorry = (m.Lost || nobody) && (usable || m.Sorry && m.Adopted && unknown)
	return m
}

// Reserve reports whether a server with this role has no connections now because others have them.
func (m Memory) Reserve(role config.Role) bool { return (role == config.Sorry) != m.Sorry }

// Remembers reports whether the entries of a pool depend on its past.
func Remembers(v config.VirtualServer) bool {
	return v.Quorum > 1 || len(v.RealServers) > 0 && v.RealServers[len(v.RealServers)-1].Role == config.Sorry
}
