package plan

import (
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Memories are what the pools remember whose entries depend on their past, by the first key of their virtual server, so that
// they survive a new name. They are immutable; nil has none.
type Memories map[lvs.Key]lvs.Memory

// beginning is what the pools begin with of which nothing is remembered yet.
type beginning struct {
	// found is the content of the kernel's table at the start, and later the table of the previous plan; nil: they are nowhere.
	found func() []lvs.Service
	// onStandby is what was remembered when the director was last stopped.
	onStandby []lvs.OnStandby
}

// remembering returns the table with the memories that follow from those before it.
func (t Table) remembering(before Memories, first beginning) Table {
	t.Memories = remember(t.Servers, t.Condition, before, first)
	return t
}

func remember(servers []config.VirtualServer, condition func(config.ServerID) lvs.Condition, before Memories, first beginning) Memories {
	var after Memories
	var services map[lvs.Key]lvs.Service // read only if a pool has no memory
	for _, v := range servers {
		if !lvs.Remembers(v) {
			continue
		}
		key := lvs.KeyOf(v)
		m, known := before[key]
		if !known {
			if services == nil {
				services = byKey(first.found)
			}
			m = lvs.Begin(v, services).Resume(v, first.onStandby)
		}
		if after == nil {
			after = Memories{}
		}
		after[key] = m.Next(v, condition)
	}
	return after
}

func byKey(found func() []lvs.Service) map[lvs.Key]lvs.Service {
	services := map[lvs.Key]lvs.Service{}
	if found != nil {
		for _, s := range found() {
			services[s.Key] = s
		}
	}
	return services
}

// OnStandby returns what a director that is stopped must remember of its pools, sorted.
func (t Table) OnStandby() []lvs.OnStandby {
	if len(t.Memories) == 0 {
		return nil
	}
	var all []lvs.OnStandby
	for _, v := range t.Servers {
		all = append(all, t.Memory(v).OnStandby(v)...)
	}
	slices.SortFunc(all, lvs.OnStandby.Compare)
	return all
}

// Memory returns what a pool remembers.
func (t Table) Memory(v config.VirtualServer) lvs.Memory { return t.Memories[lvs.KeyOf(v)] }

// reserve returns the condition of the real servers of the pools with what follows from their memories.
func reserve(servers []config.VirtualServer, memories Memories, condition func(config.ServerID) lvs.Condition) func(config.ServerID) lvs.Condition {
	if len(memories) == 0 {
		return condition
	}
	type member struct {
		memory lvs.Memory
		server config.RealServer
	}
	members := map[config.ServerID]member{}
	for _, v := range servers {
		if !lvs.RemembersEntries(v) {
			continue
		}
		m, remembers := memories[lvs.KeyOf(v)]
		if !remembers {
			continue
		}
		for _, r := range v.RealServers {
			members[config.ServerID{Service: v.Name, Server: r.Name}] = member{m, r}
		}
	}
	if len(members) == 0 {
		return condition
	}
	return func(id config.ServerID) lvs.Condition {
		c := condition(id)
		if one, is := members[id]; is {
			c = one.memory.Apply(one.server, c)
		}
		return c
	}
}

// healthy reports whether real servers whose checks do not fail have the connections of a virtual server.
func (t Table) healthy(v config.VirtualServer) bool { return t.Memories[lvs.KeyOf(v)].Healthy() }

func (m Memories) equal(other Memories) bool { return maps.Equal(m, other) }
