package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// PoolSubject is a virtual server, or a real server of one, with hooks.
type PoolSubject struct {
	ID     string // the same under other names
	Pool   config.VirtualServer
	Server *config.RealServer // nil: the virtual server
	Hooks  []config.Hook
}

// Name is "mysql" for a virtual server, "mysql/mysql1" for a real server.
func (s PoolSubject) Name() string {
	if s.Server == nil {
		return s.Pool.Name
	}
	return s.serverID().String()
}

func (s PoolSubject) serverID() config.ServerID {
	return config.ServerID{Service: s.Pool.Name, Server: s.Server.Name}
}

// PoolSubjects returns the virtual servers and real servers with hooks, in the order of the file.
func (t Table) PoolSubjects() []PoolSubject {
	var all []PoolSubject
	if t.file == nil {
		return nil
	}
	for _, v := range t.Servers {
		if !v.TellsQuorum && len(v.Hooks)+len(v.ServerHooks)+len(t.file.Hooks) == 0 {
			continue
		}
		if hooks := t.file.PoolHooks(v, ""); len(hooks) > 0 {
			all = append(all, PoolSubject{ID: poolID(v), Pool: v, Hooks: hooks})
		}
		for i, r := range v.RealServers {
			if hooks := t.file.PoolHooks(v, r.Name); len(hooks) > 0 {
				all = append(all, PoolSubject{ID: serverID(v, r), Pool: v, Server: &v.RealServers[i], Hooks: hooks})
			}
		}
	}
	return all
}

func poolID(v config.VirtualServer) string { return "virtual server " + lvs.KeyOf(v).String() }

func serverID(v config.VirtualServer, r config.RealServer) string {
	return poolID(v) + " " + netip.AddrPortFrom(r.Address, r.Port).String()
}

// PoolState returns the state of a subject for its hooks, and why: of a real server what its checks say, of a virtual server whether its
// quorum is met. "": it is not known.
func (t Table) PoolState(s PoolSubject) (state, reason string) {
	if s.Server == nil {
		m, remembers := t.Memories[lvs.KeyOf(s.Pool)]
		switch {
		case !remembers:
			return "", ""
		case m.Lost:
			return hook.Down, "the quorum is lost"
		}
		return hook.Up, "the quorum is met"
	}
	v, _ := t.Verdicts.Of(config.Subject{Server: s.serverID()})
	switch {
	case !v.Known:
		return "", ""
	case v.Up:
		return hook.Up, v.Reason
	}
	return hook.Down, v.Reason
}

// PoolStates returns the states of all virtual servers and real servers that are known, by the IDs of their subjects, whether they have
// hooks or not.
func (t Table) PoolStates() map[string]string {
	states := map[string]string{}
	add := func(s PoolSubject) {
		if state, _ := t.PoolState(s); state != "" {
			states[s.ID] = state
		}
	}
	for _, v := range t.Servers {
		add(PoolSubject{ID: poolID(v), Pool: v})
		for i, r := range v.RealServers {
			add(PoolSubject{ID: serverID(v, r), Pool: v, Server: &v.RealServers[i]})
		}
	}
	return states
}
