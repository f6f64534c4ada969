package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind is the kind of change. The list is open: readers may encounter kinds of newer versions.
type Kind string

// The kinds of this version, each with its subject and the values of From and To.
const (
	InstanceState      Kind = "instance_state"       // VRRP instance: INIT, BACKUP, MASTER, FAULT
	InstancePriority   Kind = "instance_priority"    // VRRP instance: its priority in the election, before and after
	OverrideChanged    Kind = "override_changed"     // real server or director: "" or "drain", "disable", "weight 3", before and after
	CountersZeroed     Kind = "counters_zeroed"      // virtual server; "" for all of them
	DrainEnded         Kind = "drain_ended"          // "virtual server/real server": "" to "drained" or "timeout"
	InstanceHandover   Kind = "instance_handover"    // VRRP instance: an operator hands over, or takes back
	RealServerState    Kind = "real_server_state"    // "virtual server/real server": unknown, up, full, down
	TrackState         Kind = "track_state"          // track: as a real server
	BFDSessionState    Kind = "bfd_session_state"    // BFD session, "name on interface": AdminDown, Down, Init, Up
	VirtualServerState Kind = "virtual_server_state" // virtual server: unknown, up, degraded, down
	ProblemRaised      Kind = "problem_raised"       // what has the problem, "" for the node: "" to its severity
	ProblemCleared     Kind = "problem_cleared"      // the same: its severity to ""
	ReloadApplied      Kind = "reload_applied"       // cluster file: digests of the file before and after
	ReloadRefused      Kind = "reload_refused"       // cluster file
	HookEnded          Kind = "hook_ended"           // instance or sync group: "" to "ok" or "failed"; the code is the moment
	TakeOverRecorded   Kind = "take_over_recorded"   // instance: "" to "fresh", "held" or "none"
	PeerAsked          Kind = "peer_asked"           // instance that has become MASTER because another router was silent: "" to "answers" or "silent"
	WaitEnded          Kind = "wait_ended"           // instance whose VIPs have waited: "" to "applied", "timeout" or "stuck"
	DaemonStarted      Kind = "daemon_started"       // program: "" to its version. It clears all problems raised before
	DaemonStopped      Kind = "daemon_stopped"       // program
	EventsLost         Kind = "events_lost"          // "": this reader has missed events here
)

// Kinds returns the kinds of this version, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{
		InstanceState, InstancePriority, InstanceHandover, OverrideChanged, CountersZeroed, DrainEnded, RealServerState, TrackState, BFDSessionState, VirtualServerState, ProblemRaised, ProblemCleared, ReloadApplied, ReloadRefused, HookEnded, TakeOverRecorded, PeerAsked, WaitEnded,
		DaemonStarted, DaemonStopped, EventsLost,
	}
}

// The values of From and To for real servers, tracks and virtual servers. Full means up but without free connections;
// Degraded is for virtual servers only.
const (
	Unknown  = "unknown"
	Up       = "up"
	Full     = "full"
	Degraded = "degraded"
	Down     = "down"
)

// The values of To for routers that are asked: they answer ARP, or not.
const (
	Answers = "answers"
	Silent  = "silent"
)

// The values of To for hooks.
const (
	HookOK     = "ok"
	HookFailed = "failed"
)

// Event is one change. Time and Kind are always set, the other fields depending on the kind.
type Event struct {
	Time    time.Time `json:"time"` // wall clock
	Kind    Kind      `json:"kind"`
	Subject string    `json:"subject,omitempty"` // the name in the cluster file; see Kind
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	// Code is the code of the check for a real server or a track, and the problem code for a problem.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"` // plain text
	// VirtualRouterID is set for instances, 1 to 255.
	VirtualRouterID uint8 `json:"virtual_router_id,omitempty"`
}

// Lost returns an event that reports count missing events and why.
func Lost(at time.Time, count int, why string) Event {
	return Event{Time: at, Kind: EventsLost, Reason: fmt.Sprintf("%d events are missing here: %s", count, why)}
}

// ID returns a name of the event. It is the same for as long as the event is kept, also after a restart of the daemon; no other event
// has it, but one of the same time with the same texts.
func (e Event) ID() string {
	digest := fnv.New32a()
	fmt.Fprintf(digest, "%q %q %q %q %q %q %d", e.Kind, e.Subject, e.From, e.To, e.Code, e.Reason, e.VirtualRouterID)
	return fmt.Sprintf("%d-%08x", e.Time.UnixNano(), digest.Sum32())
}

// TimeOfID returns the time of the event with an ID.
func TimeOfID(id string) (time.Time, error) {
	nanoseconds, digest, _ := strings.Cut(id, "-")
	at, err := strconv.ParseInt(nanoseconds, 10, 64)
	if err != nil || len(digest) != 8 {
		return time.Time{}, fmt.Errorf("%.60q is not the id of an event", id)
	}
	return time.Unix(0, at), nil
}

const (
	// MaxText limits Reason, and MaxName the other texts, in bytes. A reason may quote a server's response.
	MaxText = 1000
	MaxName = 200
	// MaxLine limits a line. JSON escaping produces at most six bytes per byte of text.
	MaxLine = 6*(MaxText+5*MaxName) + 300
)

// Bounded returns the event with truncated texts and without the monotonic part of its time.
func (e Event) Bounded() Event {
	e.Time = e.Time.Round(0)
	e.Kind = Kind(cut(string(e.Kind), MaxName))
	e.Subject, e.From, e.To, e.Code = cut(e.Subject, MaxName), cut(e.From, MaxName), cut(e.To, MaxName), cut(e.Code, MaxName)
	e.Reason = cut(e.Reason, MaxText)
	return e
}

// cut truncates a text to most bytes at a character boundary and does not retain the rest.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const mark = "…"
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end]) + mark
}

// Line returns the event as one line of JSON with a newline.
func (e Event) Line() ([]byte, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("event of kind %s: %w", e.Kind, err)
	}
	return append(line, '\n'), nil
}

// Parse parses a line written by Line, including lines of newer versions with more fields. Anything else is an error.
func Parse(line []byte) (Event, error) {
	if len(line) > MaxLine {
		return Event{}, fmt.Errorf("event: line of %d bytes, the maximum is %d", len(line), MaxLine)
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	if e.Kind == "" || e.Time.IsZero() {
		return Event{}, errors.New("event: no kind or no time")
	}
	return e.Bounded(), nil
}
