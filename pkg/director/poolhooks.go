package director

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/notify"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// poolSubject returns a virtual server or a real server for the notifier.
func poolSubject(s plan.PoolSubject) notify.Subject {
	n := notify.Subject{Type: notify.VirtualServer, Name: s.Name(), Pool: s.Pool, Server: s.Server, Hooks: s.Hooks}
	if s.Server != nil {
		n.Type = notify.RealServer
	}
	return n
}

// listener is a notifier.
type listener interface {
	Tell(id notify.ID, change func(notify.Subject) hook.Change)
	Seed(id notify.ID, state string)
}

// poolStates are the states of the virtual servers and real servers with hooks, as their hooks have been told. The zero value has none.
// Only the director's own goroutine uses them.
type poolStates struct {
	subjects []plan.PoolSubject // of the file
	states   []string           // of each; "": not known yet
}

// tell passes the changes from one table to another one to the hooks of virtual servers and real servers. It does not block.
//
// A hook that a reload adds does not run for the state that its subject already has, and a real server that is up when the director starts
// does not count as a change. That a quorum is met or lost does: what it makes, such as a route, has to be made or removed then.
func (p *poolStates) tell(from, to plan.Table, told listener) {
	subjects := to.PoolSubjects()
	if len(subjects) == 0 {
		*p = poolStates{}
		return
	}
	there := func(int) bool { return false }
	if len(p.subjects) != len(subjects) || &p.subjects[0] != &subjects[0] {
		there = p.follow(subjects, from, told)
	}
	for n := range subjects {
		s, was := &subjects[n], p.states[n]
		now, reason := to.PoolState(s)
		quorum := s.Server == nil
		if quorum && was == "" && now == hook.Down && !to.QuorumDecided(s) {
			now = ""
		}
		silent := was == "" && (!quorum && now == hook.Up || quorum && there(n))
		if now == "" || now == was {
			continue
		}
		p.states[n] = now
		if silent {
			told.Seed(notify.ID(s.ID), now)
			continue
		}
		if was == "" {
			was = hook.Unknown
			if !quorum { // so that there is no server_up if it returns before server_down has begun
				told.Seed(notify.ID(s.ID), hook.Up)
			}
		}
		c := hook.Change{Moment: poolMoment(!quorum, now), From: was, To: now, Reason: reason, At: time.Now()}
		told.Tell(notify.ID(s.ID), func(notify.Subject) hook.Change { return c })
	}
}

// follow takes the subjects of another file, with the states that are known of them. It returns which of them had no hooks before, although
// their virtual server was there.
func (p *poolStates) follow(subjects []plan.PoolSubject, from plan.Table, told listener) func(n int) bool {
	known := make(map[string]string, len(p.subjects))
	for n := range p.subjects {
		known[p.subjects[n].ID] = p.states[n]
	}
	var before map[string]string // read only if a subject is new
	keys := from.Keys()
	states, there := make([]string, len(subjects)), make([]bool, len(subjects))
	for n := range subjects {
		s := &subjects[n]
		state, hooked := known[s.ID]
		if !hooked {
			if before == nil {
				before = from.PoolStates()
			}
			if state, there[n] = before[s.ID], keys[s.Key()]; state != "" {
				told.Seed(notify.ID(s.ID), state)
			}
		}
		states[n] = state
	}
	*p = poolStates{subjects: subjects, states: states}
	return func(n int) bool { return there[n] }
}

func poolMoment(server bool, state string) hook.Moment {
	switch {
	case server && state == hook.Up:
		return hook.ServerUp
	case server:
		return hook.ServerDown
	case state == hook.Up:
		return hook.QuorumUp
	}
	return hook.QuorumDown
}

// tellPools passes the changes of a plan to the hooks of virtual servers and real servers.
func (d *Director) tellPools(l *loops, from, to plan.Table) {
	d.pools.tell(from, to, l.notifier)
}

// ofPool adds what a hook is told about a virtual server or a real server.
func ofPool(m hook.Message, v *config.VirtualServer, r *config.RealServer) hook.Message {
	m.VirtualServer, m.Port = v.Name, v.Port
	address := v.Address
	if r != nil {
		m.RealServer, address, m.Port = r.Name, r.Address, r.Port
	}
	if address.IsValid() {
		m.Address = address.String()
	}
	return m
}
