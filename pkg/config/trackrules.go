package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// checkWatched rejects tracks of virtual servers and instances that do not exist, and numbers of real servers that are
// never reached.
func (c *contents) checkWatched() {
	pools, instances := map[string]int{}, map[string]bool{}
	for _, s := range c.services {
		pools[s.v.Name] = len(s.v.servers)
	}
	for _, i := range c.instances {
		instances[i.v.Name] = true
	}
	refer := func(at object, key, name, what string, known []string) {
		if name != "" && !slices.Contains(known, name) {
			hint := "the file has none"
			if len(known) > 0 {
				hint = cmp.Or(didYouMean(name, known), "want "+enumerate(known, "or"))
			}
			at.locate(key).fail(hint, "no %s is named %s", what, name)
		}
	}
	for _, t := range c.tracks {
		switch w := t.v.Watch.(type) {
		case WatchedVirtualServer:
			refer(t.at, "virtual_server", w.VirtualServer, "virtual server", slices.Sorted(maps.Keys(pools)))
			if n, there := pools[w.VirtualServer]; there && n < w.AtLeast {
				t.at.locate("at_least").fail("", "%s has %s only: the track is never up", w.VirtualServer, count(n, "real server"))
			}
		case WatchedInstance:
			refer(t.at, "instance", w.Instance, "instance", slices.Sorted(maps.Keys(instances)))
		}
	}
	c.checkTrackCycles()
}

// checkTrackCycles rejects instances that depend on their own state: they would never leave the state that they are in.
func (c *contents) checkTrackCycles() {
	about := map[string]string{} // the instance that a track is about
	for _, t := range c.tracks {
		if w, ok := t.v.Watch.(WatchedInstance); ok {
			about[t.v.Name] = w.Instance
		}
	}
	if len(about) == 0 {
		return
	}
	on := map[string][]string{} // the instances that one depends on, on any director
	for _, i := range c.instances {
		for _, own := range i.v.byDirector() {
			for _, u := range own.Tracks {
				if other := about[u.Name]; other != "" {
					for _, with := range c.movingWith(i.v.Name) {
						on[with] = append(on[with], c.movingWith(other)...)
					}
				}
			}
		}
	}
	for _, i := range c.instances {
		if path := pathTo(on, i.v.Name, i.v.Name, map[string]bool{}); path != nil {
			i.at.locate("tracks").fail("", "depends on its own state: %s", strings.Join(append([]string{i.v.Name}, path...), " depends on "))
			return // the others on the way would be reported for the same reason
		}
	}
}

// pathTo returns the names after from on a way to a name, nil if there is none.
func pathTo(on map[string][]string, from, to string, seen map[string]bool) []string {
	for _, next := range on[from] {
		if next == to {
			return []string{to}
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		if rest := pathTo(on, next, to, seen); rest != nil {
			return append([]string{next}, rest...)
		}
	}
	return nil
}

// checkWeights rejects weights of tracks that only gate becoming MASTER, and warns about those that change nothing.
func (c *contents) checkWeights() {
	gates := map[string]bool{}
	for _, t := range c.tracks {
		gates[t.v.Name] = t.v.Gate
	}
	for _, i := range c.instances {
		lists := map[string]value{"": i.at.locate("tracks")}
		for director := range i.v.PerNode {
			if own, ok := i.at.peek("per_node", director, "tracks"); ok {
				lists[director] = own
			}
		}
		for _, director := range slices.Sorted(maps.Keys(lists)) {
			for _, item := range lists[director].entries() {
				weight, given := item.peek("weight")
				name, _ := item.peek("name")
				if !given || weight.node.Value == "0" || name.node == nil {
					continue
				}
				if gates[name.node.Value] {
					weight.fail("leave the weight out, or write when: always into the track",
						"%s only keeps a director from becoming MASTER: it changes no priority", name.node.Value)
				} else if i.v.forNode(director).Priority == 255 {
					weight.warn("", "has no effect: tracks do not change the priority 255 of an address owner")
				}
			}
		}
	}
}
