package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind says what changed. The list is open: a reader meets kinds of newer versions.
type Kind string

// The kinds of this version. Beside each: the subject, and what From and To are.
const (
	InstanceState      Kind = "instance_state"       // VRRP instance: INIT, BACKUP, MASTER, FAULT
	RealServerState    Kind = "real_server_state"    // "virtual server/real server": unknown, up, full, down
	TrackState         Kind = "track_state"          // track: as a real server
	VirtualServerState Kind = "virtual_server_state" // virtual server: unknown, up, degraded, down
	ProblemRaised      Kind = "problem_raised"       // what has the problem, "" for the node: "" to its severity
	ProblemCleared     Kind = "problem_cleared"      // the same: its severity to ""
	ReloadApplied      Kind = "reload_applied"       // cluster file: digests of the file before and after
	ReloadRefused      Kind = "reload_refused"       // cluster file
	DaemonStarted      Kind = "daemon_started"       // program: "" to its version. What was raised before is not any more
	DaemonStopped      Kind = "daemon_stopped"       // program
	EventsLost         Kind = "events_lost"          // "": here events are missing in what this reader was given
)

// Kinds are those of this version, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{
		InstanceState, RealServerState, TrackState, VirtualServerState, ProblemRaised, ProblemCleared, ReloadApplied, ReloadRefused,
		DaemonStarted, DaemonStopped, EventsLost,
	}
}

// The words for From and To of real servers, tracks and virtual servers. Full is up without a connection left; Degraded is of
// virtual servers alone.
const (
	Unknown  = "unknown"
	Up       = "up"
	Full     = "full"
	Degraded = "degraded"
	Down     = "down"
)

// Event is one change. Time and Kind are set in every event, the others as far as the kind has them.
type Event struct {
	Time    time.Time `json:"time"` // of the wall clock
	Kind    Kind      `json:"kind"`
	Subject string    `json:"subject,omitempty"` // the name in the cluster file, as Kind says
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	// Code is that of the check for a real server or a track, that of the problem for a problem.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"` // a sentence
	// VirtualRouterID is that of an instance, 1 to 255.
	VirtualRouterID uint8 `json:"virtual_router_id,omitempty"`
}

// Lost says that count events are missing at this place, and why.
func Lost(at time.Time, count int, why string) Event {
	return Event{Time: at, Kind: EventsLost, Reason: fmt.Sprintf("%d events are missing here: %s", count, why)}
}

const (
	// MaxText bounds Reason, and MaxName the other texts, in bytes. A reason may quote what a server answered.
	MaxText = 1000
	MaxName = 200
	// MaxLine bounds a line. Six bytes of JSON for one of text is the most that escaping makes.
	MaxLine = 6*(MaxText+5*MaxName) + 300
)

// Bounded returns the event with texts that are cut to their bounds, and its time without a monotonic part.
func (e Event) Bounded() Event {
	e.Time = e.Time.Round(0)
	e.Kind = Kind(cut(string(e.Kind), MaxName))
	e.Subject, e.From, e.To, e.Code = cut(e.Subject, MaxName), cut(e.From, MaxName), cut(e.To, MaxName), cut(e.Code, MaxName)
	e.Reason = cut(e.Reason, MaxText)
	return e
}

// cut shortens a text to most bytes, whole characters only, and lets go of the rest.
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

// Line is the event as one line of JSON, with its end.
func (e Event) Line() ([]byte, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("event of kind %s: %w", e.Kind, err)
	}
	return append(line, '\n'), nil
}

// Parse reads a line that Line has written, or that a version with more fields has. Anything else is an error.
func Parse(line []byte) (Event, error) {
	if len(line) > MaxLine {
		return Event{}, fmt.Errorf("event: a line of %d bytes, %d are the most", len(line), MaxLine)
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
