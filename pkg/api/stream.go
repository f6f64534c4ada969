package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
)

const (
	// followers limits the number of simultaneously following clients.
	followers = 16
	// writeWithin limits a single write to a client.
	writeWithin = 5 * time.Second
	// aliveEvery is the interval of empty lines to a following client.
	aliveEvery = 5 * time.Second
	// restoredWithin is how long a request waits for the events of earlier runs, which a slow disk may delay.
	restoredWithin = time.Second
)

// stream sends events. A client that does not read is disconnected; it does not block other clients or loops.
type stream struct {
	events *journal.Journal
	end    <-chan struct{}
	places chan struct{} // semaphore of following clients
}

func newStream(ctx context.Context, events *journal.Journal) *stream {
	return &stream{events: events, end: ctx.Done(), places: make(chan struct{}, followers)}
}

// ServeHTTP implements http.Handler.
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	since, follow, err := asked(r)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case s.events == nil:
		http.Error(w, "this daemon has no journal", http.StatusNotFound)
		return
	}
	if follow {
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			http.Error(w, fmt.Sprintf("%d clients are already following the events: stop one of them", followers), http.StatusServiceUnavailable)
			return
		}
	}
	select {
	case <-s.events.Keeper().Ready():
	case <-time.After(restoredWithin):
	case <-s.end:
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := lines{w, http.NewResponseController(w)}
	if !follow {
		_ = out.write(s.events.Since(since)) // fails only if the client has disconnected
		return
	}
	past, news := s.events.Follow(since)
	defer news.Close()
	if err := out.write(past); err == nil {
		s.follow(r.Context(), out, news)
	}
}

// asked parses the parameters of a request.
func asked(r *http.Request) (since time.Time, follow bool, err error) {
	if text := r.URL.Query().Get("since"); text != "" {
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return since, false, fmt.Errorf("since=%s: want a time of RFC 3339 such as 2026-11-21T14:50:23Z", text)
		}
	}
	if text := r.URL.Query().Get("follow"); text != "" {
		if follow, err = strconv.ParseBool(text); err != nil {
			return since, false, fmt.Errorf("follow=%s: want true or false", text)
		}
	}
	return since, follow, nil
}

// follow writes new events until the client disconnects or the daemon stops.
func (s *stream) follow(ctx context.Context, out lines, news *journal.Subscription) {
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		var events []event.Event
		select {
		case <-ctx.Done():
			return
		case <-s.end:
			_ = out.write(take(news)) // the remaining events
			return
		case <-alive.C:
		case <-news.Wake():
			events = take(news)
		}
		if err := out.write(events); err != nil {
			return
		}
	}
}

// take returns the events that a client has not received yet, with an events_lost event if the queue was full.
func take(news *journal.Subscription) []event.Event {
	events, lost := news.Take()
	if lost > 0 {
		events = append(events, event.Lost(time.Now(), lost, "this client did not read them in time"))
	}
	return events
}

// lines writes events to a client.
type lines struct {
	http.ResponseWriter
	control *http.ResponseController
}

// write writes and flushes events, or an empty line. The server's deadline for a whole response does not apply to a
// stream: each write has its own.
func (l lines) write(events []event.Event) error {
	if err := l.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	text := make([]byte, 0, 256*len(events)+1)
	for _, e := range events {
		line, err := e.Line()
		if err != nil { // impossible for events of a journal
			continue
		}
		text = append(text, line...)
	}
	if len(events) == 0 {
		text = append(text, '\n')
	}
	if _, err := l.Write(text); err != nil {
		return err
	}
	return l.control.Flush()
}
