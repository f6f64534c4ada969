package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// HookSubject is an instance with hooks.
type HookSubject struct {
	ID       config.InstanceID
	Instance config.Instance // resolved for this node
	Params   vrrp.Params     // with the effective priority
	Hooks    []config.Hook   // its own, then those of the file
}

// HookSubjects returns the instances with hooks, in the order of the file.
func (p Plan) HookSubjects() []HookSubject {
	var all []HookSubject
	for _, i := range p.Instances {
		if hooks := slices.Concat(i.Config.Hooks, i.file.Hooks); len(hooks) > 0 {
			all = append(all, HookSubject{i.ID, i.Config, i.Params, hooks})
		}
	}
	return all
}

func (s HookSubject) equal(b HookSubject) bool {
	return s.ID == b.ID && s.Instance.Name == b.Instance.Name && s.Params == b.Params && slices.Equal(s.Hooks, b.Hooks) &&
		slices.Equal(s.Instance.Held(), b.Instance.Held())
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
	if slices.EqualFunc(from.HookSubjects(), to.HookSubjects(), HookSubject.equal) {
		return nil
	}
	return []Step{{Do: SetHooks, Ending: endingHooks(from, to)}}
}
