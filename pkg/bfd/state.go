package bfd

import "strconv"

// State is the state of a session, as in the State field of a control packet (RFC 5880 section 4.1). The zero value is
// AdminDown.
type State uint8

// The states. A session comes up by a three-way handshake: Down, Init, Up (RFC 5880 section 6.2).
const (
	AdminDown State = iota // switched off by the operator; says nothing about the path
	Down
	Init // the neighbour is heard, and does not hear us yet
	Up
)

// String returns the RFC's name of the state.
func (s State) String() string {
	switch s {
	case AdminDown:
		return "AdminDown"
	case Down:
		return "Down"
	case Init:
		return "Init"
	case Up:
		return "Up"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// Diag is the reason for the last change of the sender's state: the Diagnostic field (RFC 5880 section 4.1), 0 to 31.
type Diag uint8

// The diagnostics that a session of this package sends.
const (
	DiagNone          Diag = 0
	DiagDetection     Diag = 1 // no control packet was received for the detection time
	DiagNeighbourDown Diag = 3 // the neighbour signaled that its session is down
	DiagAdminDown     Diag = 7
)

// String returns the RFC's name of the diagnostic, in lower case.
func (d Diag) String() string {
	names := [...]string{
		"no diagnostic", "control detection time expired", "echo function failed", "neighbor signaled session down",
		"forwarding plane reset", "path down", "concatenated path down", "administratively down", "reverse concatenated path down",
	}
	if int(d) < len(names) {
		return names[d]
	}
	return "diagnostic " + strconv.Itoa(int(d))
}
