package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
)

// keeping is a running journal.
func keeping(t *testing.T) *journal.Journal {
	t.Helper()
	j := journal.New(t.TempDir(), nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Keeper().Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return j
}

func at(second int64, reason string) event.Event {
	return event.Event{Time: time.Unix(second, 0), Kind: event.TrackState, Reason: reason}
}

// follower collects the events that a client receives.
type follower struct {
	seen chan string
	end  func() error // stops following
}

func follow(t *testing.T, c *Client, since time.Time) follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f, done := follower{seen: make(chan string, 4096)}, make(chan error, 1)
	go func() {
		done <- c.Events(ctx, since, true, func(e event.Event) error {
			f.seen <- e.Reason
			return nil
		})
	}()
	f.end = func() error { cancel(); return <-done }
	return f
}

func (f follower) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-f.seen:
			if got != w {
				t.Fatalf("received %q, want %q", got, w)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%q was not received", w)
		}
	}
}

func TestEvents(t *testing.T) {
	j := keeping(t)
	client, stop := serve(t, Handlers{Events: j})
	for second := range int64(4) {
		j.Record(at(second, fmt.Sprint(second)))
	}
	var got []string
	take := func(e event.Event) error { got = append(got, e.Reason); return nil }
	if err := client.Events(t.Context(), time.Unix(2, 0), false, take); err != nil || strings.Join(got, " ") != "2 3" {
		t.Errorf("since 2: %q, %v", got, err)
	}
	enough := errors.New("enough")
	if err := client.Events(t.Context(), time.Time{}, false, func(event.Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error of take: %v", err)
	}
	all, late := follow(t, client, time.Time{}), follow(t, client, time.Unix(9, 0))
	all.expect(t, "0", "1", "2", "3")
	j.Record(at(10, "new"))
	all.expect(t, "new")
	if err := all.end(); err != nil {
		t.Errorf("canceled: %v", err)
	}
	late.expect(t, "new")
	j.Record(at(11, "the last word"))
	stop()
	late.expect(t, "the last word")
	if err := late.end(); err != nil && !errors.Is(err, ErrNoDaemon) {
		t.Errorf("after the end: %v", err)
	}
	if err := client.Events(t.Context(), time.Time{}, true, take); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("after the end: %v", err)
	}
}

// raw sends a request, reads the status line and then stops reading, unlike our client.
func raw(t *testing.T, c *Client, request string) {
	t.Helper()
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET "+request+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	const answered = "HTTP/1.1 200 OK"
	text := make([]byte, len(answered))
	if _, err := io.ReadFull(conn, text); err != nil || string(text) != answered {
		t.Fatalf("%q, %v", text, err)
	}
}

// fill makes all places of following clients taken, by clients that do not read.
func fill(t *testing.T, c *Client) {
	t.Helper()
	for range followers {
		raw(t, c, "/v1/events?follow=true")
	}
}

// full reports whether all places are taken.
func full(t *testing.T, c *Client) bool {
	t.Helper()
	err := c.Events(t.Context(), time.Time{}, true, func(event.Event) error { return io.EOF })
	if !errors.Is(err, io.EOF) && (err == nil || err.Error() != "16 clients are already following the events: stop one of them") {
		t.Fatal(err)
	}
	return !errors.Is(err, io.EOF)
}

// TestSlowClients: clients that do not read block neither the journal nor other clients nor the end of the daemon. A write to
// them may take an hour here: what waited for one would not end.
func TestSlowClients(t *testing.T) {
	j := keeping(t)
	s := newServer(Handlers{Events: j}, quiet)
	s.writeWithin = time.Hour
	client, stop := serveFrom(t, s)
	long := strings.Repeat("x", event.MaxText)
	j.Record(at(0, long))
	fill(t, client)
	if !full(t, client) {
		t.Fatal("there is a place left")
	}
	for n := range int64(3000) { // more than the buffers of the sockets and the queues take
		j.Record(at(1000+n, long))
	}
	if err := client.Events(t.Context(), time.Time{}, false, func(event.Event) error { return nil }); err != nil {
		t.Error(err)
	}
	if !full(t, client) {
		t.Error("clients are disconnected that have an hour to read")
	}
	stop()
}

// TestSlowClientsAreDisconnected: once a write to them has taken too long.
func TestSlowClientsAreDisconnected(t *testing.T) {
	j := keeping(t)
	s := newServer(Handlers{Events: j}, quiet)
	s.writeWithin = 10 * time.Millisecond
	client, stop := serveFrom(t, s)
	defer stop()
	j.Record(at(0, "first"))
	fill(t, client)
	for n := int64(1); full(t, client); n++ { // until the buffers are full
		j.Record(at(n, strings.Repeat("x", event.MaxText)))
	}
}

func TestEventsRefused(t *testing.T) {
	client, stop := serve(t, Handlers{Events: keeping(t)})
	defer stop()
	for query, want := range map[string]string{
		"since=yesterday": "since=yesterday: want a time of RFC 3339", "follow=perhaps": "follow=perhaps: want true or false",
	} {
		response, err := client.http.Get("http://daemon/v1/events?" + query)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest || detail(response, text) == "" || !strings.HasPrefix(detail(response, text), want) {
			t.Errorf("%s: %d, %q", query, response.StatusCode, text)
		}
	}
	none, stopNone := serve(t, Handlers{})
	defer stopNone()
	if err := none.Events(t.Context(), time.Time{}, true, nil); err == nil || err.Error() != "this daemon has no journal" {
		t.Errorf("without a journal: %v", err)
	}
}

// Invalid events and truncated responses are errors, not panics.
func TestEventsOfAnotherServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, <-answers) })}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	for answer, want := range map[string]string{
		"garbage\n": "event: invalid character", strings.Repeat("x", 100_000): "the daemon has stopped", "{}\n": "no kind",
	} {
		answers <- answer
		if err := NewClient(path).Events(t.Context(), time.Time{}, false, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", answer, err)
		}
	}
}
