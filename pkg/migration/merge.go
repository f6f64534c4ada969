package migration

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// merger makes one cluster file of the sources.
type merger struct {
	readers []*reader
	options Options
	unknown []string
}

// differs are the keys of an instance that per_node may set.
var differs = []string{
	"interface", "unicast_peers", "unicast_source", "unicast_min_ttl", "multicast_source", "priority", "preempt", "preempt_delay", "startup_delay",
	"virtual_mac", "ipvlan", "virtual_interface", "transmit_from_base", "address_options", "routes", "rules", "tracks", "announcements", "notify",
}

func (m *merger) file() *yaml.Node {
	top := &object{}
	top.add("version", 1)
	top.add("directors", m.directors())
	m.single(top, "mail", func(r *reader) *object { return r.mail() })
	m.single(top, "timeouts", func(r *reader) *object {
		if r.timeouts != nil {
			return r.timeouts
		}
		return r.global.timeouts
	})
	m.single(top, "connection_sync", func(r *reader) *object {
		switch s := r.global.sync.at; {
		case s == nil:
			return nil
		case len(r.services) == 0:
			r.judge(s, NoEffect, "there is no virtual server, so there are no connections")
			return nil
		case len(r.instances) == 0:
			r.judge(s, Refused, "connection_sync is for directors with vrrp_instances: write both")
			return nil
		}
		return r.global.sync
	})
	m.maintenance(top)
	for _, l := range m.lists() {
		switch {
		case len(l.list) == 0:
		case l.key == "tracks" || l.key == "bfd_sessions":
			top.add(l.key, l.list)
		default:
			top.add(l.key, blocks(l.list))
		}
	}
	return top.node(false)
}

// list is a list of the cluster file.
type list struct {
	key  string
	list []*object
}

func (m *merger) lists() []list {
	instances := func(r *reader) (all []*object) {
		for _, i := range r.instances {
			all = append(all, i.object)
		}
		return all
	}
	groups := func(r *reader) (all []*object) {
		for _, g := range r.groups {
			all = append(all, g.object)
		}
		return all
	}
	services := func(r *reader) (all []*object) {
		for _, v := range r.services {
			all = append(all, v.object)
		}
		return all
	}
	tracks := func(r *reader) (all []*object) {
		for _, t := range r.declared {
			if t.used && !r.onlyCheck(t) {
				all = append(all, t.object)
			}
		}
		return all
	}
	sessions := func(r *reader) (all []*object) {
		for _, b := range r.sessionList {
			if b.used {
				all = append(all, b.object)
			}
		}
		return all
	}
	return []list{
		{"tracks", m.merge(tracks, nil)},
		{"bfd_sessions", m.merge(sessions, nil)},
		{"vrrp_instances", m.merge(instances, differs)},
		{"sync_groups", m.merge(groups, nil)},
		{"virtual_servers", m.merge(services, nil)},
	}
}

// onlyCheck reports whether a track is used by checks only, which have its path.
func (r *reader) onlyCheck(t *track) bool {
	uses := func(o *object) bool { return o.text("name") == t.name }
	for _, i := range r.instances {
		if slices.ContainsFunc(i.uses, uses) {
			return false
		}
	}
	for _, g := range r.groups {
		if slices.ContainsFunc(g.uses, uses) {
			return false
		}
	}
	return true
}

// mail is the section of the mail server, nil if nothing sends mails.
func (r *reader) mail() *object {
	g := r.global
	if !g.used {
		return nil
	}
	o := &object{}
	server := g.server
	if server == "" {
		server = "localhost"
	}
	o.add("server", server)
	if g.port != "" && g.port != "25" {
		o.add("port", encode(g.port))
		o.get("port").value.Tag = "!!int"
		o.get("port").value.Style = 0
	}
	if g.mailFrom != "" {
		o.add("from", g.mailFrom)
	}
	return o
}

// maintenance adds the directory by which servers are drained.
func (m *merger) maintenance(top *object) {
	dir := ""
	for _, r := range m.readers {
		switch {
		case r.maintenance == "" || r.maintenance == dir:
		case dir == "":
			dir = r.maintenance
			top.add("maintenance_dir", dir)
		default:
			r.judge(r.maintenanceAt, Refused, "maintenance_dir is the same on all directors, and %s has another one", m.readers[0].node)
		}
	}
}

// single adds a section that is in the file once.
func (m *merger) single(top *object, key string, of func(*reader) *object) {
	for _, r := range m.readers {
		if o := of(r); o != nil {
			top.add(key, o)
			break
		}
	}
	m.same(key, of)
}

// same refuses a section that differs from that of the first source that has it.
func (m *merger) same(key string, of func(*reader) *object) {
	var first *object
	for _, r := range m.readers {
		o := of(r)
		switch {
		case o == nil:
		case first == nil:
			first = o
		case fingerprint(o.node(true)) != fingerprint(first.node(true)):
			if o.at != nil {
				r.judge(o.at, Refused, "%s is the same on all directors, and %s has another one", key, m.readers[0].node)
			} else {
				m.unknown = append(m.unknown, key+" differs between the directors: that of "+m.readers[0].node+" is written")
			}
		}
	}
}

// directors are the directors of the sources.
func (m *merger) directors() []*object {
	var all []*object
	for n, r := range m.readers {
		id := r.node
		if id == "" {
			id = fmt.Sprintf("director%d", n+1)
			m.unknown = append(m.unknown, fmt.Sprintf("the host name of the director: it is named %s", id))
		}
		o := &object{}
		o.add("name", id)
		address := m.options.Addresses[id]
		for _, i := range r.instances {
			if address == "" {
				address = i.own
			}
		}
		if address == "" {
			m.unknown = append(m.unknown, fmt.Sprintf("the address of director %s: write it where address is missing, or pass --address %s=ADDRESS", id, id))
			o.comments = []string{"its own address is not in the source: add address: …"}
		} else {
			o.add("address", address)
		}
		all = append(all, o)
	}
	if len(m.readers) == 1 {
		m.unknown = append(m.unknown, "the other director: import both files with --node NAME=FILE, or add it to directors")
	}
	return all
}

// member is an object of one of the sources.
type member struct {
	r *reader
	o *object
}

// merge merges lists whose objects have names. What differs goes into per_node if its key is among the given ones.
func (m *merger) merge(of func(*reader) []*object, perNode []string) []*object {
	var order []string
	members := map[string][]member{}
	for _, r := range m.readers {
		for _, o := range of(r) {
			id := o.text("name")
			n := len(members[id])
			if n == 0 {
				order = append(order, id)
			} else if members[id][n-1].r == r {
				before := members[id][n-1].o.at.At()
				r.judge(o.at, Refused, "%s is there already, in line %d of %s", id, before.Line, before.File)
				continue
			}
			members[id] = append(members[id], member{r, o})
		}
	}
	var all []*object
	for _, id := range order {
		list := members[id]
		all = append(all, m.one(list, perNode))
		if first := list[0]; len(list) < len(m.readers) {
			first.r.judge(first.o.at, Refused, "not all directors have it: the file has it for all of them")
		}
	}
	return all
}

// one merges the objects with one name.
func (m *merger) one(list []member, perNode []string) *object {
	first := list[0]
	merged := &object{at: first.o.at, comments: first.o.comments}
	nodes := make([]*object, len(list))
	for n := range nodes {
		nodes[n] = &object{}
	}
	for _, key := range keysOf(list) {
		texts := map[string]bool{}
		for _, x := range list {
			texts[textOf(x.o, key)] = true
		}
		switch e := first.o.get(key); {
		case len(texts) == 1:
			merged.entries = append(merged.entries, *e)
		case slices.Contains(perNode, key):
			if key == "interface" { // required: that of the first director is everybody's, but for per_node
				merged.entries = append(merged.entries, *e)
			}
			for n, x := range list {
				if key == "interface" && textOf(x.o, key) == textOf(first.o, key) {
					continue
				}
				if e := x.o.get(key); e != nil {
					nodes[n].entries = append(nodes[n].entries, *e)
				}
			}
		default:
			m.conflict(merged, e, key, first.r, list)
		}
	}
	per := &object{}
	for n, x := range list {
		if node := nodes[n]; len(node.entries) > 0 {
			per.entries = append(per.entries, entry{key: x.r.node, value: node.node(node.flat())})
		}
	}
	if len(per.entries) > 0 {
		merged.entries = append(merged.entries, entry{key: "per_node", value: per.node(false)})
	}
	return merged
}

// conflict keeps the value of the first source, and refuses those of the others that differ.
func (m *merger) conflict(merged *object, e *entry, key string, first *reader, list []member) {
	if e != nil {
		merged.entries = append(merged.entries, *e)
	}
	for _, x := range list[1:] {
		if textOf(x.o, key) == textOf(list[0].o, key) {
			continue
		}
		at := x.o.at
		if other := x.o.get(key); other != nil && other.at != nil {
			at = other.at
		}
		x.r.judge(at, Refused, "%s of %s is the same on all directors, and %s has another one, which is written", key, x.o.text("name"), first.node)
	}
}

func keysOf(list []member) []string {
	var keys []string
	for _, x := range list {
		for _, e := range x.o.entries {
			if !slices.Contains(keys, e.key) {
				keys = append(keys, e.key)
			}
		}
	}
	return keys
}

// textOf is the fingerprint of a key's value; "" for none.
func textOf(o *object, key string) string {
	if e := o.get(key); e != nil {
		return fingerprint(e.value)
	}
	return ""
}
