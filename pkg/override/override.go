package override

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"
)

// Target is what an override is about. The zero value is the director itself.
type Target struct {
	Service string `json:"service,omitempty"` // the name of a virtual server; "": all that have the real server
	// Server is the name of a real server, or with Service "" its address, or that with its port.
	Server string `json:"server,omitempty"`
}

// Director reports whether the target is the director.
func (t Target) Director() bool { return t == Target{} }

// String returns "mysql/mysql1", "mysql1" or "the director".
func (t Target) String() string {
	switch {
	case t.Director():
		return "the director"
	case t.Service == "":
		return t.Server
	}
	return t.Service + "/" + t.Server
}

// Compare orders targets by name.
func (t Target) Compare(b Target) int {
	return cmp.Or(cmp.Compare(t.Service, b.Service), cmp.Compare(t.Server, b.Server))
}

// Server identifies a real server that a target may be about.
type Server struct {
	Service, Name, Address string
	Endpoint               string // "10.77.0.11:3306"
}

// Covers reports whether the target is, or includes, a real server.
func (t Target) Covers(s Server) bool {
	switch {
	case t.Director():
		return false
	case t.Service == "":
		return t.Server == s.Name || t.Server == s.Address || t.Server == s.Endpoint
	}
	return t.Service == s.Service && t.Server == s.Name
}

// mayOverlap reports whether there can be a real server that two different targets cover: which server an address is of
// depends on the cluster file.
func (t Target) mayOverlap(b Target) bool {
	if t == b || t.Director() || b.Director() || t.Service != "" && b.Service != "" {
		return false
	}
	return t.Server == b.Server || t.address() || b.address()
}

// address reports whether the target is an address, with a port or without.
func (t Target) address() bool {
	_, noAddress := netip.ParseAddr(t.Server)
	_, noEndpoint := netip.ParseAddrPort(t.Server)
	return t.Service == "" && (noAddress == nil || noEndpoint == nil)
}

// Kind is what an operator has decided.
type Kind string

const (
	// Enable ends an earlier override. It is kept, so that a merge does not bring the earlier one back.
	Enable Kind = "enable"
	// Drain: no new connections. When the last one has ended the server has no entry in the table any more.
	Drain Kind = "drain"
	// Disable: no entry in the table.
	Disable Kind = "disable"
	// Weight: another weight than that of the cluster file or of a check.
	Weight Kind = "weight"
)

// valid reports whether this version knows the kind.
func (k Kind) valid() bool { return k == Enable || k == Drain || k == Disable || k == Weight }

// Clock orders the overrides of several directors: the later one wins. It follows the wall clock in milliseconds, and is
// greater than every one that was seen before, even if that clock is set back.
type Clock struct {
	Time int64  `json:"time"`
	Node string `json:"node"` // decides between equal times
}

// Compare orders clocks.
func (c Clock) Compare(b Clock) int {
	return cmp.Or(cmp.Compare(c.Time, b.Time), cmp.Compare(c.Node, b.Node))
}

// Override is one decision of an operator. It is comparable with ==; times are UTC without a monotonic part.
type Override struct {
	Target Target `json:"target"`
	Kind   Kind   `json:"kind"`
	Weight int    `json:"weight,omitempty"` // of Weight: 1 to 65535
	Author string `json:"author"`           // the user who decided it
	Reason string `json:"reason,omitempty"`
	// Since is when it was decided. From Until on it has no effect; zero: it has until an operator ends it.
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"`
	// Patience, of Drain, is when connections that are still open are no longer waited for; zero: never.
	Patience time.Time `json:"patience,omitzero"`
	Clock    Clock     `json:"clock"`
	// File is whose existence it is, instead of an author's decision; "": it is none of a file.
	File string `json:"-"`
}

// Valid reports whether the override is one that this package makes.
func (o Override) Valid() bool {
	return o.Kind.valid() && (o.Kind == Weight) == (o.Weight != 0) && o.Weight >= 0 && o.Weight <= MaxWeight && !o.Since.IsZero() &&
		(o.Target.Service == "" || o.Target.Server != "")
}

// MaxWeight is the greatest weight that the kernel takes.
const MaxWeight = 65535

// Active reports whether it has an effect at a time.
func (o Override) Active(now time.Time) bool {
	return o.Kind != Enable && o.Kind != "" && (o.Until.IsZero() || now.Before(o.Until))
}

// String returns the decision: "drain", "weight 3"; "" for Enable and the zero value.
func (o Override) String() string {
	switch o.Kind {
	case Enable:
		return ""
	case Weight:
		return fmt.Sprintf("weight %d", o.Weight)
	}
	return string(o.Kind)
}

// Compare orders overrides: a later decision is greater. Two with the same clock, which a director that has lost its
// state file may make, are ordered by their content, so that all directors choose the same.
func (o Override) Compare(b Override) int {
	return cmp.Or(
		o.Clock.Compare(b.Clock), cmp.Compare(o.Kind, b.Kind), cmp.Compare(o.Weight, b.Weight), cmp.Compare(o.Author, b.Author), cmp.Compare(o.Reason, b.Reason),
		o.Since.Compare(b.Since), o.Until.Compare(b.Until), o.Patience.Compare(b.Patience), o.Target.Compare(b.Target), cmp.Compare(o.File, b.File),
	)
}
