package config

import (
	"slices"
	"time"
)

// Timeouts are how long IPVS remembers a connection without packets, for all virtual servers of a director. 0: the
// kernel's value is left unchanged.
type Timeouts struct {
	TCP    time.Duration // of an established connection
	TCPFin time.Duration // after a FIN
	UDP    time.Duration
}

// maxTimeout is less than what every kernel accepts (ip_vs_set_timeout: INT_MAX / HZ seconds, with HZ up to 1000).
const maxTimeout = 24 * 24 * time.Hour

// mysqlIdle is the default of MySQL's wait_timeout, after which the server itself closes an idle connection.
const mysqlIdle = 8 * time.Hour

func timeoutsSection() *sectionOf[Timeouts] {
	s := &sectionOf[Timeouts]{section: section{
		name: "timeouts", what: "a mapping with tcp, tcp_fin or udp",
		intro: "How long IPVS remembers a connection on which no packet is seen. A later packet of a forgotten connection is\n" +
			"answered with a reset. They apply to all virtual servers of a director, also to those of other programs. The values\n" +
			"that the kernel had before are restored when the director stops.",
	}}
	one := func(name string, in func(*Timeouts) *time.Duration, unset, doc string) key[Timeouts] {
		return &field[Timeouts, time.Duration]{name: name, kind: secondsIn(time.Second, maxTimeout), in: in, unset: unset, doc: doc, reload: Live}
	}
	s.fields = []key[Timeouts]{
		one("tcp", func(t *Timeouts) *time.Duration { return &t.TCP }, "unchanged (Linux: 15m)",
			"of an established TCP connection; for MySQL at least its `wait_timeout`, `8h` by default"),
		one("tcp_fin", func(t *Timeouts) *time.Duration { return &t.TCPFin }, "unchanged (Linux: 2m)", "of a TCP connection that one side has closed"),
		one("udp", func(t *Timeouts) *time.Duration { return &t.UDP }, "unchanged (Linux: 5m)", "of UDP packets between the same addresses and ports"),
	}
	return s.build()
}

func timeoutsField(s *sectionOf[Timeouts]) key[contents] {
	return &field[contents, Timeouts]{
		name: "timeouts", in: func(c *contents) *Timeouts { return &c.timeouts },
		kind: kind[Timeouts]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) (t Timeouts) {
				if o, ok := v.object(&s.section); ok {
					s.take(o, &t)
				}
				return t
			},
		},
		unset: "unchanged", doc: "how long IPVS remembers idle connections",
		words: []word{keepalived("lvs_timeouts").write("`timeouts: {tcp: 8h, tcp_fin: 2m, udp: 5m}`")},
	}
}

// checkIdle warns once about a MySQL service whose idle connections IPVS forgets long before the server closes them. It
// is advice for a file that can be used.
func (c *contents) checkIdle(top object) {
	wrong := slices.ContainsFunc(top.r.problems, func(p Problem) bool { return !p.Warning })
	if wrong || c.timeouts.TCP >= mysqlIdle {
		return
	}
	for _, s := range c.services {
		if s.v.Protocol != "tcp" || !s.v.balancesMySQL() {
			continue
		}
		const hint = "write timeouts: {tcp: 8h} at the top level, or set wait_timeout of the servers below it"
		if given, ok := top.peek("timeouts", "tcp"); ok {
			if c.timeouts.TCP != 0 { // otherwise it is not valid
				given.warn(hint, "IPVS forgets idle connections after %s, and MySQL keeps them for %s (wait_timeout): clients get a reset", span(c.timeouts.TCP), span(mysqlIdle))
			}
			return
		}
		s.at.warn(hint, "IPVS forgets idle connections after 15m (Linux's default), and MySQL keeps them for %s (wait_timeout): clients get a reset", span(mysqlIdle))
		return
	}
}

// balancesMySQL reports whether a real server of the virtual server has a mysql check.
func (s virtualServer) balancesMySQL() bool {
	return slices.ContainsFunc(s.servers, func(r placed[realServer]) bool { return slices.ContainsFunc(r.v.Checks, Check.isMySQL) })
}
