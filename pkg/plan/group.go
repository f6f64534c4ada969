package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/priority"
)

// Group is a sync group: instances that move together.
type Group struct {
	Name    string
	Members []config.InstanceID // in the order of the group
	Hooks   []config.Hook       // its own
}

func (g Group) equal(b Group) bool { return g.Name == b.Name && slices.Equal(g.Members, b.Members) }

// join fills in the groups of a file, which is resolved for this node.
func (p *Plan) join(cfg *config.Config) {
	for _, g := range cfg.SyncGroups {
		group := Group{Name: g.Name, Hooks: g.Hooks}
		for _, name := range g.Instances {
			at := slices.IndexFunc(p.Instances, func(i Instance) bool { return i.Config.Name == name })
			if at < 0 {
				continue
			}
			group.Members = append(group.Members, p.Instances[at].ID)
			p.Instances[at].Params.Grouped = len(g.Instances) > 1
		}
		p.Groups = append(p.Groups, group)
	}
	p.share()
}

// share lets the weights of the tracks of each member of a group count for all of them, so that the same director wins in
// each. A track that several members have counts once.
func (p *Plan) share() {
	for _, g := range p.Groups {
		for _, id := range g.Members {
			at := slices.IndexFunc(p.Instances, func(i Instance) bool { return i.ID == id })
			if at < 0 || len(g.Members) < 2 {
				continue
			}
			i := &p.Instances[at]
			i.shared = nil
			for _, other := range g.Members {
				o, _ := p.Instance(other)
				for _, t := range o.Tracks {
					if !slices.ContainsFunc(slices.Concat(i.Tracks, i.shared), func(own Tracked) bool { return own.Use.Name == t.Use.Name }) {
						i.shared = append(i.shared, t)
					}
				}
			}
			i.Params.Priority = priority.Effective(i.Config.Priority, i.points())
		}
	}
}

// GroupOf returns the group of an instance; false if it has none.
func (p Plan) GroupOf(id config.InstanceID) (Group, bool) {
	at := slices.IndexFunc(p.Groups, func(g Group) bool { return slices.Contains(g.Members, id) })
	if at < 0 {
		return Group{}, false
	}
	return p.Groups[at], true
}
