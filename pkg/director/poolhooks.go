package director

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/notify"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// poolSubject returns a virtual server or a real server for the notifier.
func poolSubject(s plan.PoolSubject, state string) notify.Subject {
	n := notify.Subject{Type: notify.VirtualServer, Name: s.Name(), Pool: *s.Pool, Hooks: s.Hooks, State: state}
	if s.Server != nil {
		n.Type, n.Server = notify.RealServer, *s.Server
	}
	return n
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
// does not count as a change. That a quorum is met does: what it makes, such as a route, has to be made then.
func (p *poolStates) tell(from, to plan.Table, tell func(notify.ID, hook.Change)) {
	subjects := to.PoolSubjects()
	if len(subjects) == 0 {
		*p = poolStates{}
		return
	}
	there := func(int) bool { return false }
	if len(p.subjects) != len(subjects) || &p.subjects[0] != &subjects[0] {
		there = p.follow(subjects, from)
	}
	for n := range subjects {
		s, was := &subjects[n], p.states[n]
		now, reason := to.PoolState(s)
		quorum := s.Server == nil
		silent := was == "" && (!quorum && now == hook.Up || quorum && there(n))
		if now == "" || now == was || was == "" && quorum && now == hook.Down && !silent { // a quorum that has never been met is not known yet
			continue
		}
		p.states[n] = now
		if silent {
			continue
		}
		if was == "" {
			was = hook.Unknown
		}
		tell(notify.ID(s.ID), hook.Change{Moment: poolMoment(!quorum, now), From: was, To: now, Reason: reason, At: time.Now()})
	}
}

// follow takes the subjects of another file, with the states that are known of them. It returns which of them had no hooks before, although
// their virtual server was there.
func (p *poolStates) follow(subjects []plan.PoolSubject, from plan.Table) func(n int) bool {
	told := make(map[string]string, len(p.subjects))
	for n := range p.subjects {
		told[p.subjects[n].ID] = p.states[n]
	}
	var before map[string]string // read only if a subject is new
	keys := from.Keys()
	states, there := make([]string, len(subjects)), make([]bool, len(subjects))
	for n := range subjects {
		s := &subjects[n]
		state, known := told[s.ID]
		if !known {
			if before == nil {
				before = from.PoolStates()
			}
			state, there[n] = before[s.ID], keys[s.Key()]
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
	d.pools.tell(from, to, func(id notify.ID, c hook.Change) {
		l.notifier.Tell(id, func(notify.Subject) hook.Change { return c })
	})
}

// ofPool adds what a hook is told about a virtual server or a real server.
func ofPool(m hook.Message, v config.VirtualServer, r config.RealServer) hook.Message {
	m.VirtualServer, m.RealServer, m.Port = v.Name, r.Name, v.Port
	address := v.Address
	if r.Name != "" {
		address, m.Port = r.Address, r.Port
	}
	if address.IsValid() {
		m.Address = address.String()
	}
	return m
}
