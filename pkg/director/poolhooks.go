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
	n := notify.Subject{Type: notify.VirtualServer, Name: s.Name(), Pool: s.Pool, Hooks: s.Hooks, State: state}
	if s.Server != nil {
		n.Type, n.Server = notify.RealServer, *s.Server
	}
	return n
}

// poolStates are the states of the virtual servers and real servers with hooks, as their hooks have been told, by the ID of the subject; "":
// not known yet. Only the director's own goroutine uses them.
type poolStates map[string]string

// tell passes the changes from one table to another one to the hooks of virtual servers and real servers. It does not block.
//
// A hook that a reload adds does not run for the state that its subject already has, and a real server that is up when the director starts
// does not count as a change. That a quorum is met does: what it makes, such as a route, has to be made then.
func (p *poolStates) tell(from, to plan.Table, tell func(notify.ID, hook.Change)) {
	subjects := to.PoolSubjects()
	if len(subjects) == 0 {
		*p = nil
		return
	}
	next := make(poolStates, len(subjects))
	var before map[string]string // read only if a subject is new
	for _, s := range subjects {
		was, told := (*p)[s.ID]
		if !told {
			if before == nil {
				before = from.PoolStates()
			}
			was = before[s.ID]
		}
		quorum := s.Server == nil
		now, reason := to.PoolState(s)
		silent := was == "" && (!quorum && now == hook.Up || quorum && !told && from.Has(s.Pool))
		if now == "" || was == "" && quorum && now == hook.Down && !silent { // a quorum that has never been met is not known yet
			now = was
		}
		next[s.ID] = now
		if now == was || silent {
			continue
		}
		if was == "" {
			was = hook.Unknown
		}
		tell(notify.ID(s.ID), hook.Change{Moment: poolMoment(!quorum, now), From: was, To: now, Reason: reason, At: time.Now()})
	}
	*p = next
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
