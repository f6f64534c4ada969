package health

import "time"

// Class says what a result is worth as evidence about the server. The zero value is Unknown.
type Class uint8

const (
	// Unknown says nothing about the server: the check itself could not be made (wrong password, the director's
	// address blocked, no file descriptors left here). It never takes a server out and never brings one back.
	Unknown Class = iota
	// Good is an answer as it should be.
	Good
	// Bad is no answer, or a wrong one.
	Bad
	// Full is the answer of a server that lives but takes no more connections: those it has go on.
	Full
)

// String returns the class in lower case.
func (c Class) String() string {
	switch c {
	case Unknown:
		return "unknown"
	case Good:
		return "good"
	case Bad:
		return "bad"
	case Full:
		return "full"
	default:
		return "invalid"
	}
}

// Code names the kind of a result for scripts. The list is open: probes may add to it.
type Code string

// The codes of the probes of this version.
const (
	OK          Code = "ok"
	Refused     Code = "refused"     // nothing listens on the port
	Timeout     Code = "timeout"     // no answer in time: dead host, lost cable, frozen process
	Unreachable Code = "unreachable" // the host does not answer ARP, or a router says so
	Reset       Code = "reset"       // the connection was made, then closed or reset by the server
	Auth        Code = "auth"        // the server lives and does not let the check's user in
	Blocked     Code = "blocked"     // MySQL 1129: the director's address is blocked, clients are not
	ServerFull  Code = "full"        // MySQL 1040: no connection left
	Shutdown    Code = "shutdown"    // MySQL 1053: the server says that it is going down
	NotReady    Code = "not_ready"   // MySQL 1047: a Galera node outside the primary component
	Offline     Code = "offline"     // MySQL 3032: offline_mode, clients are turned away
	Protocol    Code = "protocol"    // what answers does not speak the protocol of the check
	Local       Code = "local"       // the director itself could not make the check
	Secret      Code = "secret"      // the password file cannot be used
	Error       Code = "error"       // the server answered with an error that has no code of its own; unknown, but for the few that concern the whole server
)

// Result is the outcome of one check.
type Result struct {
	Code  Code
	Class Class
	Cause string        // a sentence with the check's name first: "mysql: dial 10.77.0.12:3306: connection refused"
	Took  time.Duration // from the start of the check to its answer; 0 when it was not made
}
