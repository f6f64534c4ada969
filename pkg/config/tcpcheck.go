package config

import (
	"slices"
	"strings"
)

// TCP is the type of a TCPCheck.
const TCP CheckType = "tcp"

// TCPCheck opens a connection. With Send or Answer it also sends and reads.
type TCPCheck struct {
	noSecret
	Send   string // bytes; "": nothing
	Answer Answer
	Keep   bool `json:",omitempty"` // a connection is kept; see Keeper
}

// Type returns TCP.
func (TCPCheck) Type() CheckType { return TCP }

// Network returns OverTCP.
func (TCPCheck) Network() Network { return OverTCP }

// Probe calls p.TCP.
func (c TCPCheck) Probe(p Prober) { p.TCP(c) }

// KeepsConnection implements Keeper.
func (c TCPCheck) KeepsConnection() bool { return c.Keep }

// Hold calls h.TCP.
func (c TCPCheck) Hold(h Holder) { h.TCP(c) }

func (TCPCheck) sealed() {}

func tcpKind() checkKind {
	return kindOf[TCPCheck]{
		name: TCP, doc: "a connection opens, and the server answers as expected if `expect` or `expect_regex` is given",
		fields: append(append(
			sendFields("nothing", func(c *TCPCheck) *string { return &c.Send }),
			answerFields(func(c *TCPCheck) *Answer { return &c.Answer })...,
		), keepField(func(c *TCPCheck) *bool { return &c.Keep })),
		rules: func(_ *TCPCheck, o object) { o.oneRequest() },
	}.declare()
}

const tcpNotes = `A ` + "`tcp`" + ` check of a MySQL server gets a warning: each one counts as an aborted connection, and after ` + "`max_connect_errors`" + `
of them MySQL refuses the director's address while the check still succeeds. The warning is given for ports 3306 and 33060,
for virtual servers with mysql or mariadb in their name, and if there is also a ` + "`mysql`" + ` check.`

// warnTCP warns about tcp checks of MySQL servers; ports are those of the checked real servers.
func (s *virtualServer) warnTCP(checks []placed[Check], ports []uint16) {
	mysql := namedMySQL(s.Name) || slices.ContainsFunc(checks, func(c placed[Check]) bool { return c.v.isMySQL() })
	for _, c := range checks {
		targets := ports
		if c.v.Port != 0 {
			targets = []uint16{c.v.Port}
		}
		if c.v.isTCP() && (mysql || slices.ContainsFunc(targets, isMySQLPort)) {
			warnHalfLogin(c.at)
		}
	}
}

func (c Check) isTCP() bool { _, ok := c.Kind.(TCPCheck); return ok }

// warnHalfLogin warns about a check that connects to MySQL and disconnects without a login: MySQL counts each in
// Aborted_connects and, after max_connect_errors of them, refuses the director's address (error 1129), while the check
// still succeeds.
func warnHalfLogin(o object) {
	o.locate("type").warn("use type: mysql with user and password_file",
		"a tcp check makes MySQL count Aborted_connects and block the director's address after max_connect_errors")
}

// isMySQLPort reports whether MySQL listens on this port by default: 3306, or 33060 for the X protocol.
func isMySQLPort(port uint16) bool { return port == 3306 || port == 33060 }

// namedMySQL reports whether the name of a virtual server suggests MySQL.
func namedMySQL(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "mysql") || strings.Contains(name, "mariadb")
}
