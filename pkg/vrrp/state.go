package vrrp

import "strconv"

// State is the state of a virtual router on one director. The zero value is Init.
type State uint8

// The states: RFC 9568 6.4, and keepalived's FAULT, in which a director knows that it cannot serve.
const (
	Init State = iota
	Backup
	Master
	Fault
)

// String returns "INIT", "BACKUP", "MASTER" or "FAULT".
func (s State) String() string {
	switch s {
	case Init:
		return "INIT"
	case Backup:
		return "BACKUP"
	case Master:
		return "MASTER"
	case Fault:
		return "FAULT"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}
