package health

import "time"

// Class is the kind of evidence that a result is about the server. The zero value is Unknown.
type Class uint8

const (
	// Unknown is no evidence about the server: the check itself could not be made (wrong password, the director's address
	// blocked, no file descriptors left here). It never takes a server out and never brings one back.
	Unknown Class = iota
	// Good is the expected answer.
	Good
	// Bad is no answer, or a wrong one.
	Bad
	// Full is the answer of a server that is alive but accepts no more connections; existing ones continue.
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
	Unreachable Code = "unreachable" // the host does not answer ARP, or a router reports it unreachable
	Reset       Code = "reset"       // the connection was made, then closed or reset by the server
	Auth        Code = "auth"        // the server is alive and rejects the check's user
	Limited     Code = "limited"     // MySQL 1203, 1226: the server is alive, and the check's user has as many connections as it may have
	Blocked     Code = "blocked"     // MySQL 1129: the director's address is blocked, clients are not
	ServerFull  Code = "full"        // MySQL 1040: no connection left
	Shutdown    Code = "shutdown"    // MySQL 1053: the server reports that it is shutting down
	NotReady    Code = "not_ready"   // MySQL 1047: a Galera node outside the primary component
	Offline     Code = "offline"     // MySQL 3032: offline_mode, clients are turned away
	Protocol    Code = "protocol"    // the answer is not in the protocol of the check
	Status      Code = "status"      // the server answered with another status than the check asks for: HTTP, SMTP, DNS
	Content     Code = "content"     // the content of the answer is not what the check asks for
	Certificate Code = "certificate" // the server's certificate is not valid for the check
	Expires     Code = "expires"     // the server's certificate ends soon; Good
	Local       Code = "local"       // the director itself could not make the check
	NoNetwork   Code = "no_network"  // the director has no route, no address or no permission to send there, or rejects it itself: Unknown for a server, Bad for a track
	Secret      Code = "secret"      // the password file cannot be used
	TooFew      Code = "too_few"     // of a track: too few real servers of a virtual server are up
	OtherState  Code = "other_state" // of a track: an instance is not in the state that the track asks for
	Failed      Code = "failed"      // of a track: what it watches is not as it should be, or its command failed
	Unrunnable  Code = "unrunnable"  // a command cannot be run: Unknown for a server; Bad for a track, because it may be the only sign of a failure
	Stuck       Code = "stuck"       // a command does not end although it was killed, or its program cannot be read: as Unrunnable
	Unreadable  Code = "unreadable"  // what a track or a check of a file watches cannot be read: Unknown for a server
	Error       Code = "error"       // the server answered with an error that has no separate code; Unknown, except for the few that concern the whole server
)

// Result is the outcome of one check.
type Result struct {
	Code  Code
	Cause string        // a sentence with the check's name first: "mysql: dial 10.77.0.12:3306: connection refused"
	Took  time.Duration // from the start of the check to its answer; 0 if it was not made
	Class Class
	// Weighted: the check says which weight the server is to have, Weight. Only of a Good result.
	Weighted bool
	Weight   uint16
}
