package lvs

import (
	"fmt"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TakesConnections reports whether IPVS gives a real server new connections. An entry with weight 0 only keeps those
// that it has.
func (s Server) TakesConnections() bool { return takesConnections(true, s.Weight) }

// TakesConnections reports whether any of the real servers does.
func (s Service) TakesConnections() bool {
	for _, server := range s.Servers {
		if server.TakesConnections() {
			return true
		}
	}
	return false
}

// takesConnections is the rule by which everything that counts real servers decides whether one counts.
func takesConnections(present bool, weight int) bool { return present && weight > 0 }

// Standing is what a real server contributes to its pool.
type Standing uint8

const (
	// Absent: nothing is known about it, and it gets no connections.
	Absent Standing = iota
	// Down: its checks fail, and it is not in the table.
	Down
	// Disabled: an operator has decided that it is not in the table, or it has been drained.
	Disabled
	// Draining: its weight is 0: the configured one, that of a check, or because an operator drains it.
	Draining
	// Reserved: it could take connections, and others of its pool have them.
	Reserved
	// Full: it is up and accepts no more connections, whatever the weight of its entry.
	Full
	// Pending: it is up, but the kernel has no entry with a weight for it, because a change of the table failed.
	Pending
	// Kept: nothing is known about it, but it was found in the table and takes connections.
	Kept
	// Serving: it is up and takes connections.
	Serving
)

// Table is what is known about the kernel's entries of a virtual server.
type Table struct {
	Have  Service // the entries that were read last
	Known bool    // they could be read; otherwise a real server about which nothing is known counts as kept
	// Differs says that the entries could not be changed to the desired ones, so that those read last decide who takes
	// connections. Otherwise a change is under way, at most for moments.
	Differs bool
	// Counted says that Have has the numbers of connections.
	Counted bool
}

// Standings returns the standing of every real server of a virtual server, in the order of the file. condition is as
// for Desired.
func Standings(v config.VirtualServer, condition func(config.ServerID) Condition, table Table) []Standing {
	pool := members(v, condition, table.Have)
	desired := Entries(pool)
	have := byAddress(table.Have.Servers)
	standings := make([]Standing, len(pool))
	for i, m := range pool {
		entry := desired[i]
		found, present := have[Server{Address: v.RealServers[i].Address, Port: v.RealServers[i].Port}.AddrPort()]
		if table.Known && (table.Differs || !m.Condition.Known) {
			entry = Entry{Present: present, Weight: found.Weight}
		}
		takes := takesConnections(entry.Present, entry.Weight) || !table.Known && !m.Condition.Known
		standings[i] = m.standing(entry.Present, takes)
		if standings[i] == Serving && table.Counted && found.overloaded(v.RealServers[i].UpperThreshold) {
			standings[i] = Full
		}
	}
	return standings
}

func (m Member) standing(present, takes bool) Standing {
	switch {
	// If the table cannot be changed, it may still take connections.
	case !m.admitted() && !takes && m.Condition.Decision.Admission == Closing && (present || m.Condition.Known && !m.Condition.Up):
		return Draining
	case !m.admitted() && !takes:
		return Disabled
	case !m.Condition.Known && takes:
		return Kept
	case !m.Condition.Known:
		return Absent
	case !m.Condition.Up:
		return Down
	case m.Weight == 0:
		return Draining
	case m.Condition.Reserve && !takes:
		return Reserved
	case m.Condition.Full:
		return Full
	case !takes:
		return Pending
	default:
		return Serving
	}
}

// Health is the state of a pool.
type Health uint8

const (
	// PoolDown: no real server takes connections: new clients fail.
	PoolDown Health = iota
	// PoolDegraded: some do.
	PoolDegraded
	// PoolUp: all do, apart from those that are drained or disabled.
	PoolUp
)

// PoolHealth returns the state of a pool and its reason, a fragment: "1 of 2 real servers are up". A pool whose servers
// are all full is down: their weights in the table stay, but clients are turned away. One whose sorry servers have the
// connections is down as well.
func PoolHealth(v config.VirtualServer, pool []Standing, m Memory) (Health, string) {
	var servers []Standing
	kept, spare := 0, 0
	for i, r := range v.RealServers {
		switch {
		case r.Role == config.Sorry:
			continue
		case r.Role == config.Standby && pool[i] == Reserved && !m.Standby:
			spare++
			continue
		case pool[i] == Down && m.was(r.Name) && !m.Sorry:
			kept++
		}
		servers = append(servers, pool[i])
	}
	health, reason := healthOf(servers)
	if spare > 0 {
		reason += fmt.Sprintf("; %d %s in reserve", spare, be(spare))
	}
	if kept > 0 {
		reason += fmt.Sprintf("; %d %s down and still %s connections (panic_threshold)", kept, be(kept), map[bool]string{false: "get", true: "gets"}[kept == 1])
	}
	quorum := fmt.Sprintf("the quorum of %d is lost", max(v.Quorum, 1))
	switch {
	case m.Sorry && !m.Lost:
		return PoolDown, fmt.Sprintf("%s, and clients go to %s", reason, strings.Join(sorryNames(v, pool), ", "))
	case m.Sorry:
		return PoolDown, fmt.Sprintf("%s, and clients go to %s", quorum, strings.Join(sorryNames(v, pool), ", "))
	case health == PoolDown:
		return health, reason
	case m.Lost && v.Quorum > 1:
		return PoolDegraded, quorum + "; " + reason
	case m.Standby:
		return PoolDegraded, "the standby servers have the connections; " + reason
	}
	return health, reason
}

// sorryNames returns the names of the sorry servers that take connections.
func sorryNames(v config.VirtualServer, pool []Standing) []string {
	names := []string{}
	for i, r := range v.RealServers {
		if r.Role == config.Sorry && pool[i] >= Full {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return []string{"a sorry server"}
	}
	return names
}

// healthOf returns the state of a pool of real servers.
func healthOf(pool []Standing) (Health, string) {
	var count [Serving + 1]int
	for _, s := range pool {
		count[s]++
	}
	up, kept := count[Serving], count[Kept]
	switch {
	case up+kept == 0:
		return PoolDown, nobody(len(pool), count)
	case up == len(pool):
		return PoolUp, fmt.Sprintf("all %d real servers are up", up)
	}
	reason := fmt.Sprintf("%d of %d real servers are up", up, len(pool))
	if kept > 0 {
		reason += fmt.Sprintf("; %d more serve and cannot be checked", kept)
	}
	for _, s := range []Standing{Full, Reserved, Draining, Disabled, Pending} {
		if n := count[s]; n > 0 {
			reason += fmt.Sprintf("; %d %s %s", n, be(n), s)
		}
	}
	if up+count[Draining]+count[Disabled] == len(pool) {
		return PoolUp, reason
	}
	return PoolDegraded, reason
}

// nobody is the reason of a pool that takes no connections.
func nobody(size int, count [Serving + 1]int) string {
	var parts []string
	for _, s := range []Standing{Down, Full, Reserved, Draining, Disabled, Pending, Absent} {
		switch n := count[s]; {
		case n == size && s == Down:
			return "no real server is up"
		case n == size && s == Draining:
			return "takes no connections: all weights are 0"
		case n == size:
			return fmt.Sprintf("takes no connections: all %d real servers are %s", n, s)
		case n > 0:
			parts = append(parts, fmt.Sprintf("%d %s %s", n, be(n), s))
		}
	}
	return fmt.Sprintf("takes no connections: of %d real servers %s", size, strings.Join(parts, ", "))
}

func be(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// String completes the sentence "2 are …".
func (s Standing) String() string {
	return [...]string{
		"unknown", "down", "disabled", "draining (weight 0)", "in reserve", "full", "up but not in the kernel's table", "kept", "up",
	}[s]
}
