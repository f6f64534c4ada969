package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// HookSubject is an instance or a sync group with hooks.
type HookSubject struct {
	ID       string
	Instance config.Instance // resolved for this node; of a group, that of its first member
	Params   vrrp.Params     // of that instance, with the effective priority
	Group    Group           // the zero Group for an instance
	Hooks    []config.Hook   // its own, then those of the file
}

// Name is the name in the cluster file.
func (s HookSubject) Name() string {
	if s.Group.Name != "" {
		return s.Group.Name
	}
	return s.Instance.Name
}

// HookSubjects returns the instances and sync groups with hooks, in the order of the file.
func (p Plan) HookSubjects() []HookSubject {
	var all []HookSubject
	for _, i := range p.Instances {
		if hooks := slices.Concat(i.Config.Hooks, i.file.Hooks); len(hooks) > 0 {
			all = append(all, HookSubject{ID: string(i.ID), Instance: i.Config, Params: i.Params, Hooks: hooks})
		}
	}
	for _, g := range p.Groups {
		if len(g.Members) == 0 {
			continue
		}
		first, _ := p.Instance(g.Members[0])
		if hooks := slices.Concat(g.Hooks, first.file.Hooks); len(hooks) > 0 {
			all = append(all, HookSubject{ID: "sync group " + g.Name, Instance: first.Config, Params: first.Params, Group: g, Hooks: hooks})
		}
	}
	return all
}

func (s HookSubject) equal(b HookSubject) bool {
	return s.ID == b.ID && s.Instance.Name == b.Instance.Name && s.Params == b.Params && slices.Equal(s.Hooks, b.Hooks) &&
		slices.Equal(s.Instance.Held(), b.Instance.Held()) && s.Group.equal(b.Group)
}

// endingHooks are the subjects of a plan that another one lacks.
func endingHooks(from, to Plan) []HookSubject {
	next := to.HookSubjects()
	return slices.DeleteFunc(from.HookSubjects(), func(s HookSubject) bool {
		return slices.ContainsFunc(next, func(n HookSubject) bool { return n.ID == s.ID })
	})
}

// setHooks are the steps that set the hooks before instances stop or start; those of instances that stop stay until
// then.
func setHooks(from, to Plan) []Step {
	pools := from.Table.file != to.Table.file && len(from.Table.PoolSubjects())+len(to.Table.PoolSubjects()) > 0
	if !pools && slices.EqualFunc(from.HookSubjects(), to.HookSubjects(), HookSubject.equal) {
		return nil
	}
	return []Step{{Do: SetHooks, Ending: endingHooks(from, to)}}
}
