package api

import (
	"net/http"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// format is how events are sent.
type format struct {
	contentType string
	begin       string // before the first event
	alive       string // a sign of life
	// add appends an event, whose line is JSON with a newline.
	add func(text []byte, e event.Event, line []byte) []byte
}

var (
	jsonLines = format{contentType: "application/x-ndjson", alive: "\n", add: func(text []byte, _ event.Event, line []byte) []byte { return append(text, line...) }}
	// serverSent are server-sent events (WHATWG HTML, section 9.2). A client that has lost its connection connects again after 2 s, with
	// the id of the last event in Last-Event-ID. An event that only this client gets has no id.
	serverSent = format{contentType: "text/event-stream", begin: "retry: 2000\n\n", alive: ":\n\n", add: func(text []byte, e event.Event, line []byte) []byte {
		if e.Kind != event.EventsLost {
			text = append(append(append(text, "id: "...), e.ID()...), '\n')
		}
		return append(append(append(text, "data: "...), line...), '\n')
	}}
)

// lines writes events to a client.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
	format  format
	begun   bool
}

// write writes and flushes events, or a sign of life. The server's deadline for a whole response does not apply to a
// stream: each write has its own.
func (l *lines) write(events []event.Event) error {
	if err := l.control.SetWriteDeadline(time.Now().Add(l.within)); err != nil {
		return err
	}
	text := make([]byte, 0, 256*len(events)+16)
	if !l.begun {
		l.begun = true
		text = append(text, l.format.begin...)
	}
	for _, e := range events {
		line, err := e.Line()
		if err != nil { // impossible for events of a journal
			continue
		}
		text = l.format.add(text, e, line)
	}
	if len(events) == 0 {
		text = append(text, l.format.alive...)
	}
	if _, err := l.w.Write(text); err != nil {
		return err
	}
	return l.control.Flush()
}
