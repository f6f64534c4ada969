package config

import "net/netip"

// API is where daemons answer other machines; the zero value is nowhere. Their Unix sockets are always there.
type API struct {
	Listen      netip.AddrPort // of a director; invalid: it does not answer other machines
	AgentListen netip.AddrPort `json:",omitzero"` // of the agent on a real server, likewise
	// WebConfig is a file with certificates, an absolute path.
	WebConfig string `json:",omitzero"`
	// Admins are the names in certificates of clients that may change something; others only read.
	Admins []string `json:",omitempty"`
}

func apiSection() *sectionOf[API] {
	s := &sectionOf[API]{
		section: section{
			name: "api", part: true, what: "a mapping with listen and web_config",
			intro: "The requests of the daemons' sockets, for other machines: by HTTPS, for clients with a certificate. See\n" +
				"[operations.md](operations.md#other-machines).",
		},
		rules: func(a *API, o object) {
			if o.missing("listen") && o.missing("agent_listen") {
				o.fail("write listen: 0.0.0.0:9651", "has neither listen nor agent_listen, so no daemon would answer other machines")
			}
			o.warnPrivileged("listen", a.Listen)
			o.warnPrivileged("agent_listen", a.AgentListen)
			if dir := hiddenFromUnits(a.WebConfig); dir != "" {
				o.locate("web_config").warn("put it into /etc/lvs-director", "the systemd unit hides %s from the daemon", dir)
			}
		},
	}
	s.fields = []key[API]{
		&field[API, netip.AddrPort]{
			name: "listen", kind: listenAddress(), in: func(a *API) *netip.AddrPort { return &a.Listen }, unset: "none", reload: Live,
			doc: "the address and TCP port at which each director answers: `0.0.0.0:9651` for all addresses of IPv4, `[::]:9651` for all",
		},
		&field[API, netip.AddrPort]{
			name: "agent_listen", kind: listenAddress(), in: func(a *API) *netip.AddrPort { return &a.AgentListen }, unset: "none", reload: Live,
			doc: "the same for the agent on each real server. On a machine that runs both daemons it needs another port",
		},
		&field[API, string]{
			name: "web_config", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(a *API) *string { return &a.WebConfig },
			required: "a file with certificates: other machines are answered only by TLS with certificates on both sides", reload: Live,
			doc: "a file with certificates, in the format of Prometheus' exporters; `client_auth_type` must be `RequireAndVerifyClientCert`. See [operations.md](operations.md#other-machines)",
		},
		&field[API, []string]{
			name: "admins", in: func(a *API) *[]string { return &a.Admins },
			kind: listOf(nodeName, "list of names", func(v value) []string {
				var names []string
				for _, one := range v.items("names in certificates") {
					if name := one.name(); name != "" {
						names = append(names, name)
					}
				}
				return names
			}),
			unset: "none: all clients can only read", doc: "the common names in the certificates of clients that may change something", reload: Live,
		},
	}
	s.schema = func() Schema {
		return Schema{AnyOf: []*Schema{{Required: []string{"listen"}}, {Required: []string{"agent_listen"}}}}
	}
	return s.build()
}

func apiField(s *sectionOf[API]) key[contents] {
	return &field[contents, API]{
		name: "api", in: func(c *contents) *API { return &c.api },
		kind: kind[API]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) (a API) {
				if o, ok := v.object(&s.section); ok {
					s.take(o, &a)
				}
				return a
			},
		},
		unset: "none", doc: "where daemons answer other machines",
	}
}
