package migration

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// group is a vrrp_sync_group.
type group struct {
	subject
	members []string
	bfd     []*conftree.Statement // track_bfd, read when the instances are known
}

var groupWords = notifyWords(words[*group]{
	"group": func(r *reader, g *group, s *conftree.Statement) {
		for _, line := range s.Block {
			for _, w := range line.Words {
				if !r.names[name(w.Text)] {
					r.judge(line, Refused, "no instance %s, so keepalived removes the group if fewer than two are left", w.Text)
					continue
				}
				g.members = append(g.members, name(w.Text))
			}
			r.rest(line)
		}
	},
	"track_interface":            func(r *reader, g *group, s *conftree.Statement) { r.readInterfaces("", &g.uses, s) },
	"track_bfd":                  func(r *reader, g *group, s *conftree.Statement) { g.bfd = append(g.bfd, r.later(s)) },
	"global_tracking":            noEffect[*group]("it is obsolete"),
	"sync_group_tracking_weight": always[*group]("weights always count in a sync group"),
	"nopreempt":                  noEffect[*group]("keepalived does not know it in a group"),
})

func (r *reader) readGroup(s *conftree.Statement) {
	g := &group{subject: subject{object: &object{at: s, comments: comments(s)}, name: name(s.Arg(1))}}
	r.set(g.object, "name", g.name, nil)
	readBlock(r, s, g, groupWords, "sync_groups", "notify")
	if len(g.members) < 2 {
		r.judgeAll(s, Refused, "it has fewer than two instances that exist: keepalived removes it")
		return
	}
	r.set(g.object, "instances", g.members, nil)
	var interfaces []string
	for _, i := range r.instances {
		if slices.Contains(g.members, i.name) {
			interfaces = append(interfaces, i.interfaceName())
		}
	}
	for _, b := range g.bfd {
		r.readBFD(&g.subject, interfaces, b)
	}
	g.finish(r)
	r.groups = append(r.groups, g)
}
