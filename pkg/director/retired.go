package director

import (
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// retireFor is how long an instance that a reload has removed goes on sending adverts, if its VIPs have moved to other
// instances of this MASTER: the other directors still have it until they are reloaded, and one of them would take its VIPs
// as well.
const retireFor = 5 * time.Minute

// retired is an instance that only sends adverts: the VIPs belong to its heirs.
type retired struct {
	*instance
	heirs []config.InstanceID
	until time.Time
}

// retire takes an instance out of those in the plan, and lets it go on as long as it and its heirs are MASTER, for
// retireFor at most. It returns false if it is not possible.
func (s *instances) retire(id config.InstanceID, heirs []config.InstanceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(heirs) == 0 || !s.masters(id) || !s.masters(heirs...) {
		return false
	}
	s.retired = append(s.retired, retired{s.all[id], heirs, time.Now().Add(retireFor)})
	delete(s.all, id)
	s.log.Info("the VIPs have moved to another instance; its adverts go on, so that directors that are not reloaded yet do not take them",
		"instance", s.retired[len(s.retired)-1].wanted.Config.Name, "vrid", s.retired[len(s.retired)-1].wanted.Params.VRID, "for", retireFor.String())
	return true
}

// masters reports whether all of these instances are MASTER. mu is held.
func (s *instances) masters(ids ...config.InstanceID) bool {
	return !slices.ContainsFunc(ids, func(id config.InstanceID) bool {
		i := s.all[id]
		return i == nil || i.actor.Snapshot().State != vrrp.Master
	})
}

// endRetired stops the retired instances whose time is over, with a resignation.
func (s *instances) endRetired(now time.Time) {
	s.endRetiredIf(func(r retired) bool {
		return now.After(r.until) || r.actor.Snapshot().State != vrrp.Master || !s.masters(r.heirs...)
	})
}

// replaceRetired stops the retired instance of the virtual router of a new instance.
func (s *instances) replaceRetired(by plan.Instance) {
	s.endRetiredIf(func(r retired) bool {
		return r.wanted.ID == by.ID || r.wanted.Segment == by.Segment && r.wanted.Params.VRID == by.Params.VRID
	})
}

func (s *instances) endRetiredIf(over func(retired) bool) {
	var ended []retired
	s.mu.Lock()
	s.retired = slices.DeleteFunc(s.retired, func(r retired) bool {
		if over(r) {
			ended = append(ended, r)
			return true
		}
		return false
	})
	s.mu.Unlock()
	for _, r := range ended {
		r.running.Stop()
		s.sockets.attach(r.wanted.Segment, r.wanted.Params.VRID, nil)
		s.log.Info("the adverts of an instance that was removed have ended", "instance", r.wanted.Config.Name, "vrid", r.wanted.Params.VRID)
	}
}
