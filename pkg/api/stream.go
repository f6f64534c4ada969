package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
)

const (
	// followers limits the number of simultaneously following clients.
	followers = 16
	// writeWithin limits a single write to a client.
	writeWithin = 5 * time.Second
	// aliveEvery is the interval of signs of life to a following client.
	aliveEvery = 5 * time.Second
	// restoredWithin is how long a request waits for the events of earlier runs, which a slow disk may delay.
	restoredWithin = time.Second
)

// stream sends events. A client that does not read is disconnected; it does not block other clients or loops.
type stream struct {
	events *journal.Journal
	end    <-chan struct{}
	places chan struct{} // semaphore of following clients
	within time.Duration // limits a single write
}

func newStream(ctx context.Context, events *journal.Journal, within time.Duration) *stream {
	return &stream{events: events, end: ctx.Done(), places: make(chan struct{}, followers), within: within}
}

// ServeHTTP implements http.Handler.
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := parseAsked(r)
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	case s.events == nil:
		refuse(w, http.StatusNotFound, "this daemon has no journal")
		return
	}
	if a.follow {
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			w.Header().Set("Retry-After", "5")
			refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d clients are already following the events: stop one of them", followers))
			return
		}
	}
	select {
	case <-s.events.Keeper().Ready():
	case <-time.After(restoredWithin):
	case <-s.end:
	}
	out := &lines{w: w, control: http.NewResponseController(w), within: s.within, format: a.format}
	w.Header().Set("Content-Type", a.format.contentType)
	w.Header().Set("Cache-Control", "no-store")
	if !a.follow {
		_ = out.write(s.events.Since(a.since)) // fails only if the client has disconnected
		return
	}
	past, news := s.begin(a)
	defer news.Close()
	if err := out.write(past); err == nil {
		s.follow(r.Context(), out, news)
	}
}

// begin returns the past events that a client has asked for, and a subscription to later ones.
func (s *stream) begin(a asked) ([]event.Event, *journal.Subscription) {
	if past, news, err := s.events.FollowAfter(a.after); err == nil {
		return past, news
	}
	return s.events.Follow(a.since)
}

// asked is what a request asks for.
type asked struct {
	since  time.Time
	after  string // the id of an event; "" for none
	follow bool
	format format
}

// parseAsked parses the parameters of a request.
func parseAsked(r *http.Request) (a asked, err error) {
	if text := r.URL.Query().Get("since"); text != "" {
		if a.since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return a, fmt.Errorf("since=%s: want a time of RFC 3339 such as 2026-11-21T14:50:23Z", text)
		}
	}
	if text := r.URL.Query().Get("follow"); text != "" {
		if a.follow, err = strconv.ParseBool(text); err != nil {
			return a, fmt.Errorf("follow=%s: want true or false", text)
		}
	}
	a.format = jsonLines
	if strings.Contains(r.Header.Get("Accept"), serverSent.contentType) {
		a.format, a.follow = serverSent, true
		if a.after = r.Header.Get("Last-Event-ID"); a.after != "" {
			if _, err := event.TimeOfID(a.after); err != nil {
				return a, fmt.Errorf("Last-Event-ID: %w", err)
			}
		}
	}
	return a, nil
}

// follow writes new events until the client disconnects or the daemon stops.
func (s *stream) follow(ctx context.Context, out *lines, news *journal.Subscription) {
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
