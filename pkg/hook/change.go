package hook

import (
	"slices"
	"time"
)

// Moment is what a hook is for: a value of `on` in the cluster file.
type Moment string

// The moments. Those of states are the values of Change.Moment for them.
const (
	Master Moment = "master" // MASTER
	Backup Moment = "backup" // BACKUP
	Fault  Moment = "fault"  // FAULT
	Stop   Moment = "stop"   // INIT: the instance has ended
	Any    Moment = "any"    // each of these four
	// PreStop is before a MASTER is stopped. The director waits for these hooks.
	PreStop Moment = "pre_stop"
	// Priority is a change of the effective priority.
	Priority Moment = "priority"
	// LowerAdvert is an advert of lower priority that a MASTER has received.
	LowerAdvert Moment = "lower_advert"
	// ServerUp and ServerDown: the checks of a real server pass, or fail.
	ServerUp   Moment = "server_up"
	ServerDown Moment = "server_down"
	// QuorumUp and QuorumDown: the quorum of a virtual server is met, or lost.
	QuorumUp   Moment = "quorum_up"
	QuorumDown Moment = "quorum_down"
)

// The states of real servers and virtual servers.
const (
	Up      = "UP"
	Down    = "DOWN"
	Unknown = "UNKNOWN" // before the first one
)

// all are the moments in the order of the documentation.
var all = []Moment{Master, Backup, Fault, Stop, Any, PreStop, Priority, LowerAdvert, ServerUp, ServerDown, QuorumUp, QuorumDown}

// All returns all moments, in the order of the documentation.
func All() []Moment { return slices.Clone(all) }

// IsState reports whether the moment is a state: of an instance or a group, a real server, or a virtual server.
func (m Moment) IsState() bool { return m.ofElection() || m.ofPool() }

// ofElection reports whether the moment is the state of an instance or a group.
func (m Moment) ofElection() bool { return m == Master || m == Backup || m == Fault || m == Stop }

func (m Moment) ofPool() bool {
	return m == ServerUp || m == ServerDown || m == QuorumUp || m == QuorumDown
}

// Moments is a set of moments; the zero value is empty.
type Moments uint16

// Of returns a set. Words that are no moments are left out.
func Of(moments ...Moment) Moments {
	var set Moments
	for _, m := range moments {
		if i := slices.Index(all, m); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

// List returns the moments in the order of the documentation.
func (s Moments) List() []Moment {
	return slices.DeleteFunc(All(), func(m Moment) bool { return s&Of(m) == 0 })
}

// Has reports whether hooks for these moments run at m.
func (s Moments) Has(m Moment) bool { return s&Of(m) != 0 || s&Of(Any) != 0 && m.ofElection() }

// Servers returns those of the moments that are of real servers.
func (s Moments) Servers() Moments { return s & Of(ServerUp, ServerDown) }

// Quorums returns those of the moments that are of the quorums of virtual servers.
func (s Moments) Quorums() Moments { return s & Of(QuorumUp, QuorumDown) }

// OfState returns the moment of a VRRP state: INIT, BACKUP, MASTER or FAULT; "" for another word.
func OfState(state string) Moment {
	return map[string]Moment{"INIT": Stop, "BACKUP": Backup, "MASTER": Master, "FAULT": Fault}[state]
}

// Change is a change that hooks may run for.
type Change struct {
	Moment Moment
	// From and To are the states before and after it; equal if the change is none of the state.
	From, To string
	Priority uint8  // effective, after the change
	Reason   string // plain text
	At       time.Time
	// Settle is how long the state must last before hooks run for it: see Settle.
	Settle time.Duration
}

// Settle returns how long a state must have lasted before its hooks run. A director passes through BACKUP on its way to
// MASTER, when it starts and after a fault: only after a master-down interval is BACKUP a role that it keeps. Hooks that
// make a database a replica at once would do so on both directors after a power failure. A MASTER that gives way has heard
// another one, so that it need not wait.
func Settle(from, to string, masterDown time.Duration) time.Duration {
	if to == "BACKUP" && from != "MASTER" {
		return masterDown
	}
	return 0
}
