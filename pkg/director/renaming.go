package director

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/override"
)

// renaming is a reload whose file has other names of real servers.
type renaming struct {
	digest string // of that file
	set    override.Set
	ended  map[config.ServerID]drain // the drains that have ended, by the new names
}

// of returns the overrides with the names of a file. mu is held.
func (o *overrides) of(cfg *config.Config) override.Set {
	if o.next != nil && cfg.Digest == o.next.digest {
		return o.next.set.Beside(o.set.Others())
	}
	return o.set
}

// progressOf returns how far the drain of a real server has come, by its new name during such a reload. mu is held.
func (o *overrides) progressOf(id config.ServerID, one override.Override) *drain {
	if o.next != nil {
		if d, ok := o.next.ended[id]; ok && d.of == one.Clock {
			return &d
		}
	}
	return o.drains[id]
}

// serversOf returns the real servers of a file as overrides know them.
func serversOf(cfg *config.Config) (all []override.Server) {
	for _, v := range cfg.VirtualServers {
		for _, r := range v.RealServers {
			_, one := subject(v, r)
			all = append(all, one)
		}
	}
	return all
}

// serverIDs returns the real servers of a file by their names in config.Renamed.
func serverIDs(cfg *config.Config) map[string]config.ServerID {
	all := map[string]config.ServerID{}
	for _, v := range cfg.VirtualServers {
		for _, r := range v.RealServers {
			id := config.ServerID{Service: v.Name, Server: r.Name}
			all[id.String()] = id
		}
	}
	return all
}

// rename lets the overrides follow real servers to the names of a newer file. Until the function that it returns is
// called each file has those with its names; kept says whether the new names or the old ones remain.
func (o *overrides) rename(from, to *config.Config) (end func(kept bool)) {
	names := config.Renamed(from, to)
	before := o.load()
	after := before.Renamed(names, serversOf(from))
	servers := serverIDs(to)
	next := &renaming{digest: to.Digest, set: after, ended: map[config.ServerID]drain{}}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, d := range o.drains {
		if name, renamed := names[id.String()]; renamed && d.ended {
			next.ended[servers[name]] = *d
		}
	}
	if slices.Equal(before.All(), after.All()) && len(next.ended) == 0 {
		return func(bool) {}
	}
	o.next = next
	o.version++
	return func(kept bool) {
		o.mu.Lock()
		if kept {
			for id, d := range next.ended {
				o.drains[id] = &d
			}
			after = o.set.Renamed(names, serversOf(from)) // more may have been found meanwhile
		}
		o.mu.Unlock()
		if kept {
			_ = o.store(after) // an error is reported as a problem
		}
		o.mu.Lock()
		o.next = nil
		o.version++
		o.mu.Unlock()
		o.changed()
	}
}
