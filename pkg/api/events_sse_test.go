package api

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// sentEvent is a server-sent event.
type sentEvent struct{ id, reason string }

// subscribe reads server-sent events until the test ends.
func subscribe(t *testing.T, c *Client, lastID string) (events <-chan sentEvent, hangUp func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/v1/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("%d, %s", response.StatusCode, got)
	}
	seen, done := make(chan sentEvent, 4096), make(chan struct{})
	go func() {
		defer close(done)
		var e sentEvent
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
			case "id":
				e.id = value
			case "data":
				parsed, err := event.Parse([]byte(value))
				if err != nil {
					t.Error(err)
				}
				e.reason = parsed.Reason
			case "":
				if e.reason != "" {
					seen <- e
				}
				e = sentEvent{}
			}
		}
	}()
	return seen, func() {
		cancel()
		<-done
		_ = response.Body.Close()
	}
}

func next(t *testing.T, events <-chan sentEvent) sentEvent {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(time.Minute):
		t.Fatal("no event")
		return sentEvent{}
	}
}

// TestServerSentEvents: a client that connects again with the id of the last event receives those after it, once each.
func TestServerSentEvents(t *testing.T) {
	j := keeping(t)
	client, stop := serve(t, Handlers{Events: j})
	defer stop()
	same := time.Unix(100, 5)
	for _, reason := range []string{"a", "b", "c"} { // at the same time
		j.Record(event.Event{Time: same, Kind: event.TrackState, Reason: reason})
	}
	events, hangUp := subscribe(t, client, "")
	var seen []sentEvent
	for range 3 {
		seen = append(seen, next(t, events))
	}
	hangUp()
	j.Record(at(50, "d")) // the clock was set back
	again, end := subscribe(t, client, seen[1].id)
	defer end()
	j.Record(at(51, "e"))
	for _, want := range []string{"c", "d", "e"} {
		if e := next(t, again); e.reason != want {
			t.Errorf("received %+v, want %s", e, want)
		}
	}
	for id, want := range map[string]string{
		event.Event{Time: time.Unix(60, 0), Kind: event.TrackState}.ID(): "events may be missing here: the one that was received last is not in memory any more",
	} {
		unknown, end := subscribe(t, client, id)
		if e := next(t, unknown); e.reason != want || e.id != "" {
			t.Errorf("%s: %+v", id, e)
		}
		if e := next(t, unknown); e.reason != "a" {
			t.Errorf("%s: %+v", id, e)
		}
		end()
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://daemon/v1/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Last-Event-ID", "17")
	response, err := client.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("an id that is none: %d", response.StatusCode)
	}
}
