package connsync

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// TestMoving: connections of which an end may still have something to send are sent with their state; those that are over are not.
func TestMoving(t *testing.T) {
	const dr, passive = syncmsg.ForwardDR | syncmsg.FlagNoOutput, syncmsg.FlagInactive
	for _, c := range []struct {
		protocol, state string
		want            uint16
		flags           uint32
		closing, can    bool
	}{
		{"tcp", "ESTABLISHED", 1, dr, false, true},
		{"tcp", "SYN_SENT", 2, dr, false, true},
		{"tcp", "SYN_RECV", 3, dr, false, true},
		{"tcp", "SYNACK", 10, dr, false, true},
		{"tcp", "FIN_WAIT", 4, dr | passive, true, true},
		{"tcp", "CLOSE_WAIT", 7, dr | passive, true, true},
		{"tcp", "TIME_WAIT", 0, 0, false, false},
		{"tcp", "CLOSE", 0, 0, false, false},
		{"tcp", "LAST_ACK", 0, 0, false, false},
		{"tcp", "NONE", 0, 0, false, false},
		{"sctp", "INIT1", 1, dr | passive, false, true},
		{"sctp", "C-ECHOED", 7, dr | passive, false, true},
		{"sctp", "ESTABLISHED", 8, dr, false, true},
		{"sctp", "S-SENT", 0, 0, false, false},
		{"udp", "UDP", 0, dr | passive, false, true},
		{"esp", "NONE", 0, 0, false, false},
	} {
		connection := number(1)
		connection.Protocol = c.protocol
		e, closing, can := Moving(connection, c.state, config.DR, 0)
		if can != c.can || can && (e.State != c.want || e.Flags != c.flags || closing != c.closing) {
			t.Errorf("%s %s: state %d, flags %x, closing %t, %t, want %+v", c.protocol, c.state, e.State, e.Flags, closing, can, c)
		}
	}
	template := number(0) // of a client with port 0
	if e, closing, can := Moving(template, "NONE", config.NAT, time.Minute); !can || closing || e.State != syncmsg.StateAssured || e.Timeout != time.Minute {
		t.Errorf("a template: %+v, %t, %t", e, closing, can)
	}
}

// TestTold: a connection has been told from five seconds after a look has seen it on, also if the first look has; one that was not
// seen has not.
func TestTold(t *testing.T) {
	var table Table
	pass(&table, 0, Need{}, true, 1, 2)
	pass(&table, 2*time.Second, Need{}, true, 1, 3)
	for _, c := range []struct {
		after time.Duration
		n     int
		want  bool
	}{
		{0, 1, false}, {Settled - 1, 1, false}, {Settled, 1, true}, {Settled, 2, false}, {Settled + 2*time.Second, 2, true}, {time.Minute, 3, false},
	} {
		if got := table.Told(begin.Add(c.after), number(c.n)); got != c.want {
			t.Errorf("connection %d after %s: %t", c.n, c.after, got)
		}
	}
	pass(&table, time.Minute, Need{}, true, 1, 2)
	if table.Told(begin.Add(2*time.Minute), number(2)) {
		t.Error("one that has ended")
	}
}
