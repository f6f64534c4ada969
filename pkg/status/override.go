package status

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
)

// Override is what an operator has decided about real servers, or about the director.
type Override struct {
	Target string `json:"target"` // "mysql/mysql1"; "mysql1": in all virtual servers; "": the director
	Kind   string `json:"kind"`   // drain, disable, weight
	Weight int    `json:"weight,omitempty"`
	Author string `json:"author"`
	Reason string `json:"reason,omitempty"`
	// Since is when it was decided, Until when it ends by itself; absent: an operator ends it.
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"`
	// Patience is when connections of a server that is drained are no longer waited for; absent: never.
	Patience time.Time `json:"patience,omitzero"`
	// File is the file in maintenance_dir that drains, by its existence; absent: an operator has decided it.
	File string `json:"file,omitempty"`
	// Unused: the cluster file has no such real server.
	Unused bool `json:"unused,omitempty"`
}

// OverrideOf returns an override as a document has it.
func OverrideOf(o override.Override) Override {
	s := Override{
		Target: o.Target.String(), Kind: string(o.Kind), Weight: o.Weight, Author: o.Author, Reason: o.Reason,
		Since: o.Since, Until: o.Until, Patience: o.Patience, File: o.File,
	}
	if o.Target.Director() {
		s.Target = ""
	}
	return s
}

// OverrideRequest is what an operator asks for.
type OverrideRequest struct {
	Target   string        `json:"target"` // as in Override
	Director bool          `json:"director,omitempty"`
	Kind     override.Kind `json:"kind"`
	Weight   int           `json:"weight,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	// Patience is how long open connections are waited for, Within after what time the override ends; 0: no limit. In
	// nanoseconds.
	Patience time.Duration `json:"patience,omitempty"`
	Within   time.Duration `json:"within,omitempty"`
	Force    bool          `json:"force,omitempty"` // also if no real server is left
}

// OverrideResult is what has become of it.
type OverrideResult struct {
	Override Override `json:"override"`
	// Changed: something else was in effect before.
	Changed bool `json:"changed"`
	// Servers are the real servers that it is about, "virtual server/real server", as they were before.
	Servers []OverriddenServer `json:"servers"`
	// Unsaved is why the state file could not be written: a restart forgets the override. "" if it was.
	Unsaved string `json:"unsaved,omitempty"`
	// Others are the other directors, which know nothing about it.
	Others []string `json:"others"`
	// Done says what else has happened: handovers of instances.
	Done []string `json:"done,omitempty"`
}

// OverriddenServer is one real server with its connections.
type OverriddenServer struct {
	Name                string `json:"name"`
	ActiveConnections   int    `json:"active_connections"`
	InactiveConnections int    `json:"inactive_connections"`
}
