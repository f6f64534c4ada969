package config

import (
	"net/netip"
	"strings"
)

// Metrics is where daemons publish their metrics; the zero value is nowhere.
type Metrics struct {
	Listen      netip.AddrPort // of a director; invalid: it publishes none
	AgentListen netip.AddrPort `json:",omitzero"` // of the agent on a real server; invalid: it publishes none
	// WebConfig is a file for TLS and passwords, an absolute path; "": neither.
	WebConfig string `json:",omitzero"`
}

func metricsSection() *sectionOf[Metrics] {
	s := &sectionOf[Metrics]{
		section: section{
			name: "metrics", part: true, what: "a mapping with listen",
			intro: "Metrics for Prometheus, by HTTP at `/metrics`. See [metrics.md](metrics.md).",
		},
		rules: func(m *Metrics, o object) {
			if o.missing("listen") && o.missing("agent_listen") {
				o.fail("write listen: 127.0.0.1:9650", "has neither listen nor agent_listen, so no daemon would publish any")
			}
			o.warnPrivileged("listen", m.Listen)
			o.warnPrivileged("agent_listen", m.AgentListen)
			if dir := hiddenFromUnits(m.WebConfig); dir != "" {
				o.locate("web_config").warn("put it into /etc/lvs-director", "the systemd unit hides %s from the daemon", dir)
			}
		},
	}
	s.fields = []key[Metrics]{
		&field[Metrics, netip.AddrPort]{
			name: "listen", kind: listenAddress(), in: func(m *Metrics) *netip.AddrPort { return &m.Listen }, unset: "none", reload: Live,
			doc: "the address and TCP port at which each director publishes its metrics: `127.0.0.1:9650`, or `0.0.0.0:9650` for all addresses of IPv4, `[::]:9650` for all",
		},
		&field[Metrics, netip.AddrPort]{
			name: "agent_listen", kind: listenAddress(), in: func(m *Metrics) *netip.AddrPort { return &m.AgentListen }, unset: "none", reload: Live,
			doc: "the same for the agent on each real server. On a machine that runs both daemons it needs another port",
		},
		&field[Metrics, string]{
			name: "web_config", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(m *Metrics) *string { return &m.WebConfig },
			unset: "none: no TLS and no password", reload: Live,
			doc: "a file with certificates and passwords, in the format of Prometheus' exporters. See [metrics.md](metrics.md#tls-and-passwords)",
		},
	}
	s.schema = func() Schema {
		return Schema{AnyOf: []*Schema{{Required: []string{"listen"}}, {Required: []string{"agent_listen"}}}}
	}
	return s.build()
}

// warnPrivileged warns of a port that the daemons of the systemd units cannot open: these have no CAP_NET_BIND_SERVICE. A machine may
// allow such ports to everybody by net.ipv4.ip_unprivileged_port_start, so it is no error.
func (o object) warnPrivileged(key string, at netip.AddrPort) {
	if at.IsValid() && at.Port() < 1024 {
		o.locate(key).warn("choose a port from 1024 on, such as 9650", "the systemd units allow no port below 1024, so that the daemon cannot open port %d", at.Port())
	}
}

// listenAddress is an address with a TCP port.
func listenAddress() kind[netip.AddrPort] {
	k := scalar("ADDRESS:PORT", Schema{Type: "string", Pattern: `^(` + ipv4Pattern + `|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$`}, value.listenAddress)
	k.show = netip.AddrPort.String
	k.json = func(a netip.AddrPort) any { return a.String() }
	return k
}

// listenAddress reads an address with a port other than 0.
func (v value) listenAddress() netip.AddrPort {
	s := v.text()
	if s == "" {
		return netip.AddrPort{}
	}
	at, err := netip.ParseAddrPort(s)
	switch {
	case err == nil && at.Port() != 0 && at.Addr().Zone() == "":
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	case strings.HasPrefix(s, ":"):
		v.fail("write 0.0.0.0"+s+" for all addresses of IPv4, [::]"+s+" for all, or 127.0.0.1"+s, "%s has no address", quote(s))
	default:
		v.fail("write 127.0.0.1:9650, or [::1]:9650", "%s is no address with a port from 1 to 65535", quote(s))
	}
	return netip.AddrPort{}
}

func metricsField(s *sectionOf[Metrics]) key[contents] {
	return &field[contents, Metrics]{
		name: "metrics", in: func(c *contents) *Metrics { return &c.metrics },
		kind: kind[Metrics]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) (m Metrics) {
				if o, ok := v.object(&s.section); ok {
					s.take(o, &m)
				}
				return m
			},
		},
		unset: "none", doc: "where metrics are published", words: []word{synonyms("prometheus")},
	}
}
