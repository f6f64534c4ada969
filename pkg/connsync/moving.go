package connsync

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

const (
	// MostMoving limits how many connections are sent because a virtual address moves. Rate does not hold for them: they have less
	// than a second.
	MostMoving = 100000
	// MostClosing limits how many of them are half closed: with dr every connection that has ended is, for two minutes.
	MostClosing = 4000
)

// moving is a state of a connection, by the name that the kernel gives it (ip_vs_state_name, tcp_state_name_table,
// sctp_state_name_table), that is sent when its virtual
// address moves. In all others no end has anything to send.
type moving struct {
	state    uint16
	inactive bool // as the kernel counts it (tcp_state_active, sctp_state_active)
	closing  bool
}

var movingTCP = map[string]moving{
	"ESTABLISHED": {state: syncmsg.StateEstablished},
	"SYN_SENT":    {state: syncmsg.StateSynSent},
	"SYN_RECV":    {state: syncmsg.StateSynReceived},
	"SYNACK":      {state: syncmsg.StateSynAck},
	"FIN_WAIT":    {state: syncmsg.StateFinWait, inactive: true, closing: true},
	"CLOSE_WAIT":  {state: syncmsg.StateCloseWait, inactive: true, closing: true},
}

var movingSCTP = map[string]moving{
	"INIT1":       {state: syncmsg.StateSCTPInit1, inactive: true},
	"INIT":        {state: syncmsg.StateSCTPInit, inactive: true},
	"C-SENT":      {state: syncmsg.StateSCTPCookieSent, inactive: true},
	"C-REPLIED":   {state: syncmsg.StateSCTPReplied, inactive: true},
	"C-WAIT":      {state: syncmsg.StateSCTPCookieWait, inactive: true},
	"COOKIE":      {state: syncmsg.StateSCTPCookie, inactive: true},
	"C-ECHOED":    {state: syncmsg.StateSCTPEchoed, inactive: true},
	"ESTABLISHED": {state: syncmsg.StateSCTPEstablished},
}

// Moving returns a connection in a state as it is sent when its virtual address moves; the kernel sends none that is being opened,
// and none before it has collected a message, which takes up to 3 s. closing: it is half closed. can is false for one that nobody
// needs any more.
func Moving(c lvs.Connection, state string, forward config.Forward, persistence time.Duration) (e syncmsg.Connection, closing, can bool) {
	e, can = Entry(c, forward, persistence)
	if !can || c.Template() {
		return e, false, can
	}
	m, known := moving{state: e.State, inactive: e.Flags&syncmsg.FlagInactive != 0}, true
	switch c.Protocol {
	case "tcp":
		m, known = movingTCP[state]
	case "sctp":
		m, known = movingSCTP[state]
	}
	e.State = m.state
	if m.inactive {
		e.Flags |= syncmsg.FlagInactive
	}
	return e, m.closing, known
}

// Told reports whether the other directors are expected to have a connection: it was there Settled ago, or at the first look if that
// was then. It may be called during a look, between two connections.
func (t *Table) Told(now time.Time, c lvs.Connection) bool {
	k, seen := t.known[c.Hash()]
	return seen && now.Sub(t.begun)-max(k.first, 0) >= Settled
}
