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

// remembering returns the table with the memories that follow from those before it. adopted is the content of the kernel's table
// at the start, in which pools without a memory are looked up.
func (t Table) remembering(before Memories, adopted []lvs.Service) Table {
	t.Memories = remember(t.Servers, t.Condition, before, adopted)
	return t
}

func remember(servers []config.VirtualServer, condition func(config.ServerID) lvs.Condition, before Memories, adopted []lvs.Service) Memories {
	var after Memories
	for _, v := range servers {
		if !lvs.Remembers(v) {
			continue
		}
		key := lvs.KeyOf(v)
		m, known := before[key]
		if !known {
			at := slices.IndexFunc(adopted, func(s lvs.Service) bool { return s.Key == key })
			found := lvs.Service{}
			if at >= 0 {
				found = adopted[at]
			}
			m = lvs.Begin(v, found, at >= 0)
		}
		if after == nil {
			after = Memories{}
		}
		after[key] = m.Next(v, condition)
	}
	return after
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
		m, remembers := memories[lvs.KeyOf(v)]
		if !remembers {
			continue
		}
		for _, r := range v.RealServers {
			members[config.ServerID{Service: v.Name, Server: r.Name}] = member{m, r}
		}
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
