package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// PoolSubject is a virtual server, or a real server of one, with hooks. What it points to is part of the file, and is not changed.
type PoolSubject struct {
	ID     string // the same under other names
	Pool   *config.VirtualServer
	Server *config.RealServer // nil: the virtual server
	Hooks  []config.Hook
	key    lvs.Key        // of Pool
	checks config.Subject // of Server
}

// Name is "mysql" for a virtual server, "mysql/mysql1" for a real server.
func (s PoolSubject) Name() string {
	if s.Server == nil {
		return s.Pool.Name
	}
	return s.checks.Server.String()
}

// PoolSubjects returns the virtual servers and real servers with hooks, in the order of the file. The result must not be changed. It is the
// same slice for all plans of one file that follow each other.
func (t Table) PoolSubjects() []PoolSubject { return t.subjects }

// subjectsOf returns the subjects of a file. Those without hooks of their own share them.
func subjectsOf(cfg *config.Config) []PoolSubject {
	var all []PoolSubject
	quorums, servers := cfg.PoolHooks(config.VirtualServer{}, ""), cfg.PoolHooks(config.VirtualServer{}, "any")
	for n := range cfg.VirtualServers {
		v := &cfg.VirtualServers[n]
		if len(quorums)+len(servers)+len(v.Hooks)+len(v.ServerHooks) == 0 {
			continue
		}
		ofPool, ofServer := quorums, servers
		if len(v.Hooks) > 0 {
			ofPool, ofServer = cfg.PoolHooks(*v, ""), cfg.PoolHooks(config.VirtualServer{Hooks: v.Hooks}, "any")
		}
		pool := PoolSubject{ID: poolID(v), Pool: v, Hooks: ofPool, key: lvs.KeyOf(*v)}
		if len(ofPool) > 0 {
			all = append(all, pool)
		}
		for i := range v.RealServers {
			r, hooks := &v.RealServers[i], ofServer
			if len(v.ServerHooks[r.Name]) > 0 {
				hooks = cfg.PoolHooks(*v, r.Name)
			}
			if len(hooks) > 0 {
				all = append(all, serverSubject(pool, r, hooks))
			}
		}
	}
	return all
}

func serverSubject(of PoolSubject, r *config.RealServer, hooks []config.Hook) PoolSubject {
	id := config.ServerID{Service: of.Pool.Name, Server: r.Name}
	of.ID, of.Server, of.Hooks, of.checks = of.ID+" "+netip.AddrPortFrom(r.Address, r.Port).String(), r, hooks, config.Subject{Server: id}
	return of
}

func poolID(v *config.VirtualServer) string { return "virtual server " + lvs.KeyOf(*v).String() }

// PoolState returns the state of a subject for its hooks, and why: of a real server what its checks say, of a virtual server whether its
// quorum is met. "": it is not known.
func (t Table) PoolState(s *PoolSubject) (state, reason string) {
	if s.Server == nil {
		m, remembers := t.Memories[s.key]
		switch {
		case !remembers:
			return "", ""
		case m.Lost:
			return hook.Down, "the quorum is lost"
		}
		return hook.Up, "the quorum is met"
	}
	v, _ := t.Verdicts.Of(s.checks)
	switch {
	case !v.Known:
		return "", ""
	case v.Up:
		return hook.Up, v.Reason
	}
	return hook.Down, v.Reason
}

// QuorumDecided reports whether the quorum of a virtual server that is lost could not be met whatever the checks that have
// not decided yet say.
func (t Table) QuorumDecided(s *PoolSubject) bool {
	return t.Memories[s.key].Decided(*s.Pool, t.Condition)
}

// PoolStates returns the states of all virtual servers and real servers that are known, by the IDs of their subjects, whether they have
// hooks or not.
func (t Table) PoolStates() map[string]string {
	states := map[string]string{}
	add := func(s PoolSubject) {
		if state, _ := t.PoolState(&s); state != "" {
			states[s.ID] = state
		}
	}
	for n := range t.Servers {
		v := &t.Servers[n]
		pool := PoolSubject{ID: poolID(v), Pool: v, key: lvs.KeyOf(*v)}
		add(pool)
		for i := range v.RealServers {
			add(serverSubject(pool, &v.RealServers[i], nil))
		}
	}
	return states
}

// Keys are the keys of the virtual servers, so that they are found under any name; of one with several, the first.
func (t Table) Keys() map[lvs.Key]bool {
	keys := make(map[lvs.Key]bool, len(t.Servers))
	for _, v := range t.Servers {
		keys[lvs.KeyOf(v)] = true
	}
	return keys
}

// Key is the key of the virtual server, as in Table.Keys.
func (s PoolSubject) Key() lvs.Key { return s.key }
