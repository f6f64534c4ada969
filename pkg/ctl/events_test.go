package ctl

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/logtest"
)

// keeping is a running journal.
func keeping(t *testing.T, dir string) *journal.Journal {
	t.Helper()
	j := journal.New(dir, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Keeper().Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	<-j.Keeper().Ready()
	return j
}

// failover are sample events.
func failover() []event.Event {
	at := time.Date(2026, 11, 21, 14, 50, 23, 0, time.Local)
	return []event.Event{
		{Time: at, Kind: event.InstanceState, Subject: "mysql", From: "BACKUP", To: "MASTER", Reason: "MASTER: no advert from 10.77.0.2 for 3.61s", VirtualRouterID: 51},
		{Time: at.Add(time.Minute), Kind: event.RealServerState, Subject: "mysql/mysql2", From: "up", To: "down", Code: "refused", Reason: "down: \x1b[31mred\nline"},
		{Time: at.Add(time.Hour), Kind: event.ReloadApplied, Subject: "cluster.yaml", From: "sha256:0123456789abcdef", To: "sha256:fedcba9876543210"},
	}
}

// left writes events to a state directory like a daemon and returns the directory.
func left(t *testing.T, dir string, events ...event.Event) {
	t.Helper()
	var text []byte
	for _, e := range events {
		line, err := e.Line()
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, line...)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal.Path(dir), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

const tableOfFailover = `TIME                     KIND                  SUBJECT           CHANGE              CODE                     REASON
2026-11-21 14:50:23.000  instance_state        mysql             BACKUP -> MASTER    -                        MASTER: no advert from 10.77.0.2 for 3.61s
2026-11-21 14:51:23.000  real_server_state     mysql/mysql2      up -> down          refused                  down:  [31mred line
2026-11-21 15:50:23.000  reload_applied        cluster.yaml      sha256:0123456789ab -> sha256:fedcba987654  -                        -
`

func TestEvents(t *testing.T) {
	j := keeping(t, t.TempDir())
	for _, e := range failover() {
		j.Record(e)
	}
	socket := serve(t, api.Handlers{Events: j})
	for _, tt := range []struct {
		args        []string
		code        int
		out, errors string
	}{
		{nil, 0, tableOfFailover, ""},
		{[]string{"--since", "2026-11-21 15:00", "-o", "json"}, 0, `"reload_applied","subject":"cluster.yaml","from":"sha256:0123456789abcdef"`, ""},
		{[]string{"--since", "2026-11-21 15:00", "-o", "yaml"}, 0, "kind: reload_applied\nsubject: cluster.yaml\n", ""},
		{[]string{"--since", "1ns"}, 0, "", ""},
		{[]string{"--since", "yesterday"}, 2, "", "lvsctl: --since yesterday: want a duration such as 90m, or a time"},
		{[]string{"--since", "-5m"}, 2, "", "lvsctl: --since -5m: a duration counts back from now"},
		{[]string{"--follow=perhaps"}, 2, "", "lvsctl: invalid argument"},
		{[]string{"mysql"}, 2, "", "lvsctl: want no arguments"},
		{[]string{"-o", "xml"}, 2, "", "lvsctl: -o xml: must be table, json or yaml"},
	} {
		code, out, errors := lvsctl(t, append([]string{"--socket", socket, "events"}, tt.args...)...)
		if code != tt.code || !strings.Contains(out, tt.out) || tt.out == "" && out != "" || !strings.HasPrefix(errors, tt.errors) || tt.errors == "" && errors != "" {
			t.Errorf("%v: exit %d\n%s%s\nwant %d\n%s%s", tt.args, code, out, errors, tt.code, tt.out, tt.errors)
		}
	}
}

// Without a running daemon the events come from the file, and stderr says so.
func TestEventsOfADaemonThatDoesNotRun(t *testing.T) {
	state := t.TempDir()
	socket := filepath.Join(t.TempDir(), "realserver.sock")
	run := func(args ...string) (int, string, string) {
		return lvsctl(t, append([]string{"--socket", socket, "events", "--state-dir", state}, args...)...)
	}
	if code, out, err := run(); code != 1 || out != "" || !strings.Contains(err, "no daemon answers") || !strings.Contains(err, "no journal in "+state+"/realserver (another directory: --state-dir)") {
		t.Errorf("without a file: exit %d, %q, %q", code, out, err)
	}
	left(t, filepath.Join(state, "realserver"), failover()...)
	if code, out, err := run(); code != 0 || out != tableOfFailover || err != "lvsctl: events: no daemon answers on "+socket+"; these are from "+state+"/realserver/events.jsonl\n" {
		t.Errorf("of an agent: exit %d, %q, %q", code, out, err)
	}
	for format, want := range map[string]string{"json": `{"notice":"`, "yaml": "---\nnotice: \""} {
		if code, _, err := run("-o", format); code != 0 || err != want+"lvsctl: events: no daemon answers on "+socket+"; these are from "+state+"/realserver/events.jsonl\""+map[string]string{"json": "}"}[format]+"\n" {
			t.Errorf("-o %s: exit %d, %q", format, code, err)
		}
	}
	left(t, state, failover()[1])
	socket = filepath.Join(t.TempDir(), "s")
	if code, out, _ := run("--since", "2026-11-21 14:51", "-o", "json"); code != 0 || strings.Count(out, "\n") != 1 || !strings.Contains(out, "real_server_state") {
		t.Errorf("of a director: exit %d, %q", code, out)
	}
	if err := os.Remove(journal.Path(state)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(journal.Path(state), 0o700); err != nil {
		t.Fatal(err)
	}
	if code, _, err := run(); code != 1 || !strings.Contains(err, "is not a regular file") && !strings.Contains(err, "is a directory") {
		t.Errorf("unreadable: exit %d, %q", code, err)
	}
}

// With -f it continues across restarts of the daemon and prints no event twice.
func TestEventsFollow(t *testing.T) {
	socket, state := filepath.Join(t.TempDir(), "s"), t.TempDir()
	var j *journal.Journal
	begin := func() (end func()) {
		j = keeping(t, state)
		listener, err := api.Listen(socket, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- api.Serve(ctx, listener, api.Handlers{Events: j}, slog.New(slog.DiscardHandler)) }()
		return func() { cancel(); <-done }
	}
	left(t, state, failover()[0])
	var out, errors logtest.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cmd := Command()
	cmd.SetOut(&out)
	cmd.SetErr(&errors)
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, cmd, []string{"--socket", socket, "events", "-f", "--state-dir", state, "-o", "json"})
	}()
	await := func(buffer *logtest.Buffer, text string, count int) {
		t.Helper()
		for begun := time.Now(); buffer.Count(text) != count; time.Sleep(10 * time.Millisecond) {
			if time.Since(begun) > 30*time.Second {
				t.Fatalf("%q does not appear %d times:\n%s%s", text, count, out.String(), errors.String())
			}
		}
	}
	await(&out, "instance_state", 1)
	await(&errors, "waiting for it", 1)
	end := begin()
	j.Record(failover()[1])
	await(&out, "real_server_state", 1)
	j.Record(failover()[2])
	await(&out, "reload_applied", 1)
	end()
	await(&errors, "waiting for it", 2)
	end = begin()
	defer end()
	j.Record(event.Event{Kind: event.DaemonStarted})
	await(&out, "daemon_started", 1)
	cancel()
	if code := <-ended; code != 0 || out.Count("\n") != 4 || bytes.Count([]byte(errors.String()), []byte("these are from")) != 1 {
		t.Errorf("exit %d\n%s%s", code, out.String(), errors.String())
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 50, 23, 0, time.UTC)
	for text, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "90m": "2026-11-21T13:20:23Z", "0s": "2026-11-21T14:50:23Z", "09:30": "2026-11-21T09:30:00Z",
		"2026-11-20": "2026-11-20T00:00:00Z", "2026-11-20 09:30": "2026-11-20T09:30:00Z", "2026-11-20 09:30:05": "2026-11-20T09:30:05Z",
		"2026-11-20T09:30:05.5+01:00": "2026-11-20T08:30:05.5Z",
	} {
		if got, err := parseSince(text, now); err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"5", "-1h", "tomorrow", "25:00", "2026-13-01"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}
