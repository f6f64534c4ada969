package config

import (
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/hook"
)

// serviceHooksField declares notify of a virtual server.
func serviceHooksField() key[virtualServer] {
	return poolHooksField(func(s *virtualServer) *[]Hook { return &s.Hooks }, "programs, HTTP requests and mails for changes of its quorum and of its real servers",
		keepalived("quorum_up").write("`notify: [{on: [quorum_up], command: [/path/to/program]}]`"),
		keepalived("quorum_down").write("`notify: [{on: [quorum_down], command: [/path/to/program]}]`"),
		keepalived("smtp_alert").write("`notify: [{on: [server_up, server_down, quorum_up, quorum_down], mail_to: [ops@example.com]}]`"),
	)
}

// serverHooksField declares notify of a real server.
func serverHooksField() key[realServer] {
	return poolHooksField(func(rs *realServer) *[]Hook { return &rs.hooks }, "programs, HTTP requests and mails for its changes",
		keepalived("notify_up").write("`notify: [{on: [server_up], command: [/path/to/program]}]`"),
		keepalived("notify_down").write("`notify: [{on: [server_down], command: [/path/to/program]}]`"),
		keepalived("smtp_alert").write("`notify: [{on: [server_up, server_down], mail_to: [ops@example.com]}]`"),
	)
}

func poolHooksField[S any](in func(*S) *[]Hook, doc string, words ...word) key[S] {
	k := mappingsOf(&hooks.section, 0, func(v value) []Hook { return bare(hooks.each(v, "hooks", Hook{})) })
	k.same = slices.Equal[[]Hook]
	return &field[S, []Hook]{name: "notify", in: in, kind: k, unset: "none", doc: doc, words: words}
}

// takeHooks adds the hooks of the real servers.
func (s *virtualServer) takeHooks() {
	for _, rs := range s.servers {
		if len(rs.v.hooks) == 0 {
			continue
		}
		if s.ServerHooks == nil {
			s.ServerHooks = map[string][]Hook{}
		}
		s.ServerHooks[rs.v.Name] = rs.v.hooks
	}
}

// checkPoolHooks rejects moments of real servers and virtual servers where there are none, and others where there are only these.
func (c *contents) checkPoolHooks(mails func([]Hook, value)) {
	only := func(hooks []Hook, at value, allowed hook.Moments, hint string) {
		for _, h := range hooks {
			if wrong := h.On &^ allowed; wrong != 0 {
				at.fail(hint, "%s cannot happen here", strings.Join(Hook{On: wrong}.moments(), ", "))
				return
			}
		}
		mails(hooks, at)
	}
	server, quorum := hook.Of(hook.ServerUp, hook.ServerDown), hook.Of(hook.QuorumUp, hook.QuorumDown)
	const elsewhere = "write this hook in a virtual server, or at the top level"
	election := hook.Of(hook.All()...) &^ (server | quorum)
	for _, g := range c.groups {
		only(g.v.Hooks, g.at.locate("notify"), election, elsewhere)
	}
	for _, i := range c.instances {
		only(i.v.Hooks, i.at.locate("notify"), election, elsewhere)
		for _, own := range i.v.PerNode {
			if !slices.Equal(own.Hooks, i.v.Hooks) {
				only(own.Hooks, i.at.locate("per_node"), election, elsewhere)
			}
		}
	}
	everywhere := Hook{}.On
	for _, h := range c.hooks {
		everywhere |= h.On.Quorums()
	}
	for n := range c.services {
		s := &c.services[n]
		only(s.v.Hooks, s.at.locate("notify"), server|quorum, "write this hook in an instance, or at the top level")
		told := everywhere
		for _, h := range s.v.Hooks {
			told |= h.On.Quorums()
		}
		s.v.TellsQuorum = told != 0
		for _, rs := range s.v.servers {
			only(rs.v.hooks, rs.at.locate("notify"), server, "write this hook in the virtual server")
		}
	}
}

// PoolHooks are the hooks of a real server, or, without a name, of a virtual server, in the order in which they run: its own, then those
// of the virtual server, then those of the file. Those that are for neither are left out.
func (c *Config) PoolHooks(v VirtualServer, server string) []Hook {
	all := slices.Concat(v.Hooks, c.Hooks)
	if server != "" {
		all = slices.Concat(v.ServerHooks[server], all)
	}
	return slices.DeleteFunc(all, func(h Hook) bool {
		return server != "" && h.On.Servers() == 0 || server == "" && h.On.Quorums() == 0
	})
}
