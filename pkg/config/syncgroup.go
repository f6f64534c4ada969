package config

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// SyncGroup is a set of instances that move together. Its tracks and delays are already those of its instances.
type SyncGroup struct {
	Name      string
	Instances []string // their names, in the order of the group
	Hooks     []Hook   `json:",omitempty"` // its own, beside those of its instances
}

// maxStartupDelay limits how long a director may leave addresses to nobody after its start.
const maxStartupDelay = 10 * time.Minute

// syncGroup is a SyncGroup under construction.
type syncGroup struct {
	SyncGroup
	tracks                     []TrackUse
	startupDelay, preemptDelay time.Duration
}

func syncGroupSection() *sectionOf[syncGroup] {
	s := &sectionOf[syncGroup]{
		section: section{
			name: "sync_groups",
			what: "a sync group with name and instances",
			intro: "The instances of a sync group move together: all of them are MASTER, BACKUP or in FAULT; see\n" +
				"[failover.md](failover.md#sync-groups). An instance belongs to one group at most. Its priorities may differ from those of the\n" +
				"others, but the same director must win in all of them, and `preempt` is the same in all.",
			words: []word{
				needless("is keepalived's word: weights always count in a sync group", "sync_group_tracking_weight"),
				needless("is keepalived's word: write the tracks of the group under tracks", "global_tracking"),
				needless("is keepalived's word: an instance has priority and preempt, a group has not", "priority", "preempt", "nopreempt"),
			},
		},
	}
	item := nodeName
	s.fields = []key[syncGroup]{
		&field[syncGroup, string]{
			name: "name", kind: nodeName, in: func(g *syncGroup) *string { return &g.Name },
			required: "a name for status and logs", doc: "for status and logs; unique", reload: Live,
		},
		&field[syncGroup, []string]{
			name: "instances", in: func(g *syncGroup) *[]string { return &g.Instances },
			kind: listOf(item, "list of names", func(v value) []string {
				var names []string
				for _, one := range v.items("names of instances") {
					if name := one.name(); name != "" {
						names = append(names, name)
					}
				}
				v.notEmpty("the names of at least two instances")
				return names
			}),
			required: "the names of the VRRP instances that move together",
			doc:      "the names of the instances, at least two: a warning if it is one", reload: Live,
			words: []word{keepalived("group"), synonyms("members", "vrrp_instances")},
		},
		&field[syncGroup, []TrackUse]{
			name: "tracks", kind: trackUses(trackUseSection()), in: func(g *syncGroup) *[]TrackUse { return &g.tracks },
			unset: "none", doc: "tracks and BFD sessions, like those of an instance, of each of its instances", reload: Live,
			words: []word{keepalived("track_script", "track_interface", "track_file", "track_process", "track_bfd").write("`tracks`")},
		},
		&field[syncGroup, time.Duration]{
			name: "preempt_delay", kind: durationIn(0, maxPreemptDelay), in: func(g *syncGroup) *time.Duration { return &g.preemptDelay },
			unset: "that of the instances", doc: "`preempt_delay` of each of its instances, which then have none of their own", reload: Live,
		},
		&field[syncGroup, time.Duration]{
			name: "startup_delay", kind: durationIn(0, maxStartupDelay), in: func(g *syncGroup) *time.Duration { return &g.startupDelay },
			unset: "that of the instances", doc: "`startup_delay` of each of its instances, which then have none of their own", reload: Live,
		},
		hooksField(func(g *syncGroup) *[]Hook { return &g.Hooks }, oneForAll),
	}
	return s.build()
}

func syncGroupField(s *sectionOf[syncGroup]) key[contents] {
	return &field[contents, []placed[syncGroup]]{
		name: "sync_groups", in: func(c *contents) *[]placed[syncGroup] { return &c.groups },
		kind: mappingsOf(&s.section, 0, func(v value) []placed[syncGroup] {
			list := s.each(v, "sync groups", syncGroup{})
			unique(list, "name", func(g syncGroup) string { return g.Name })
			return list
		}),
		unset: "none", doc: "instances that move together",
		words: []word{keepalived("vrrp_sync_group")},
	}
}

func startupDelayField() key[instance] {
	return &field[instance, time.Duration]{
		name: "startup_delay", kind: durationIn(0, maxStartupDelay), in: func(i *instance) *time.Duration { return &i.StartupDelay },
		doc: "how long the director does not become MASTER after its start, even if nobody is: for networks that deliver no adverts " +
			"at first (spanning tree, bonds). Nobody holds the virtual addresses if all directors start together",
		perNode: perNode, reload: Live,
		words: []word{keepalived("vrrp_startup_delay")},
	}
}

// resolveSyncGroups passes the settings of the groups to their instances, and rejects groups that cannot move together.
func (c *contents) resolveSyncGroups() {
	byName := map[string]*placed[instance]{}
	var names []string
	for i := range c.instances {
		if name := c.instances[i].v.Name; name != "" {
			byName[name] = &c.instances[i]
			names = append(names, name)
		}
	}
	of := map[string]string{} // the group of each instance
	for _, g := range c.groups {
		list := g.at.locate("instances")
		var members []*placed[instance]
		for _, item := range list.entries() {
			name := item.node.Value
			other, taken := of[name]
			switch in := byName[name]; {
			case !isName(name):
			case taken && other == g.v.Name:
				item.fail("", "%s is listed twice", name)
			case taken:
				item.fail("put all of them into one group", "%s belongs to the sync group %s already", name, quote(other))
			case in == nil:
				item.fail(cmp.Or(didYouMean(name, names), "add it to vrrp_instances"), "no instance is named %s", name)
			default:
				of[name] = g.v.Name
				members = append(members, in)
			}
		}
		if len(members) == 1 && len(list.entries()) == 1 {
			list.warn("name at least two, or remove the group", "one instance has nothing to move together with")
		}
		for _, in := range members {
			passTo(in, g)
		}
		c.checkSyncGroup(g, members)
	}
}

// passTo gives an instance the settings of its group.
func passTo(in *placed[instance], g placed[syncGroup]) {
	for _, d := range []struct {
		key string
		set func(*Instance)
	}{
		{"preempt_delay", func(i *Instance) { i.PreemptDelay = g.v.preemptDelay }},
		{"startup_delay", func(i *Instance) { i.StartupDelay = g.v.startupDelay }},
	} {
		if _, given := g.at.fields[d.key]; !given {
			continue
		}
		if own, given := in.at.fields[d.key]; given {
			own.fail("remove it here or there", "its sync group %s has one for all of its instances", quote(g.v.Name))
			continue
		}
		in.v.each(d.set)
	}
	in.v.each(func(i *Instance) {
		if len(i.Tracks) == 0 && len(g.v.tracks) > 0 {
			i.TracksAt = g.at.locate("tracks").position()
		}
		for _, u := range g.v.tracks {
			if !slices.ContainsFunc(i.Tracks, func(own TrackUse) bool { return own.Name == u.Name }) { // its own weight counts
				i.Tracks = append(slices.Clone(i.Tracks), u)
			}
		}
	})
}

// each changes the instance as run by each director.
func (i *instance) each(change func(*Instance)) {
	change(&i.Instance)
	own := maps.Clone(i.PerNode)
	for director, in := range own {
		change(&in)
		own[director] = in
	}
	i.PerNode = own
}

// movingWith returns the instances that are always in the same state as one, and that one.
func (c *contents) movingWith(name string) []string {
	for _, g := range c.groups {
		if slices.Contains(g.v.Instances, name) {
			return g.v.Instances
		}
	}
	return []string{name}
}

// checkSyncGroup rejects members that would never agree.
func (c *contents) checkSyncGroup(g placed[syncGroup], members []*placed[instance]) {
	if len(members) < 2 {
		return
	}
	first, at := members[0].v, g.at.locate("instances")
	ours := first.byDirector()
	directors := slices.Sorted(maps.Keys(ours))
	for _, in := range members[1:] {
		theirs := in.v.byDirector()
		for _, d := range directors {
			a, b := ours[d], theirs[d]
			on := ""
			if d != "" {
				on = " on " + d
			}
			if a.Preempt != b.Preempt {
				at.fail("write the same preempt for all of them", "%s has preempt: %t%s, and %s %t: they preempt together", first.Name, a.Preempt, on, in.v.Name, b.Preempt)
				return
			}
			if a.PreemptDelay != b.PreemptDelay {
				at.fail("write preempt_delay into the group instead", "%s has preempt_delay: %s%s, and %s %s: they preempt together",
					first.Name, span(a.PreemptDelay), on, in.v.Name, span(b.PreemptDelay))
				return
			}
		}
		for i, d := range directors {
			for _, e := range directors[i+1:] {
				if cmp.Compare(ours[d].Priority, ours[e].Priority) != cmp.Compare(theirs[d].Priority, theirs[e].Priority) {
					at.fail("let the same director have the highest priority in all of them",
						"%s has the priorities %d on %s and %d on %s, and %s has %d and %d: another director wins in each, so that the group would never settle",
						first.Name, ours[d].Priority, d, ours[e].Priority, e, in.v.Name, theirs[d].Priority, theirs[e].Priority)
					return
				}
			}
		}
	}
	for i, d := range directors {
		for _, e := range directors[i+1:] {
			if ours[d].Priority == ours[e].Priority {
				at.warn("give each director another priority", "%s has the priority %d on %s and on %s: two MASTERs are told apart by their addresses, and the winner may be another one in each instance",
					first.Name, ours[d].Priority, d, e)
				return
			}
		}
	}
}
