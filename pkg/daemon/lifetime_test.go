package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

func lines(events []event.Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, fmt.Sprintf("%s %s: %.13s -> %.13s: %s", e.Kind, filepath.Base(e.Subject), e.From, e.To, e.Reason))
	}
	return all
}

// A reload is recorded with its result; a daemon that did not start records nothing.
func TestEventsOfADaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, events := write(t, clusterFile), []event.Event(nil)
		l, err := live(t, file, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer l.stop()
		record := func(e event.Event) { events = append(events, e) }
		l.record = record
		put(t, file, otherFile)
		if err := l.reload(t.Context(), l.service, false, "root"); err != nil {
			t.Fatal(err)
		}
		put(t, file, "version: 3\n")
		if err := l.reload(t.Context(), l.service, false, "root"); err == nil {
			t.Error("a broken file was accepted")
		}
		never := &lifetime{program: "lvs-director", version: "1", record: record}
		never.ended(errors.New("no IPVS"))
		for _, err := range []error{nil, errors.New("no IPVS")} {
			one := &lifetime{program: "lvs-director", version: "1", record: record}
			one.began(func() {}, l.source)()
			one.ended(err)
		}
		summary := file + ": ok: 1 director, 1 VRRP instance"
		want := []string{
			fmt.Sprintf("reload_applied cluster.yaml: %.13s -> %.13s: reloaded by root: %s", digest(t, clusterFile), digest(t, otherFile), summary),
			"reload_refused cluster.yaml:  -> : asked by root: " + file + ":1:10: version: 3 is not supported: this program reads version 1",
			"daemon_started lvs-director:  -> 1: started with " + summary, "daemon_stopped lvs-director: 1 -> : stopped gracefully",
			"daemon_started lvs-director:  -> 1: started with " + summary, "daemon_stopped lvs-director: 1 -> : failed: no IPVS",
		}
		if diff := cmp.Diff(want, lines(events)); diff != "" {
			t.Errorf("(-want +recorded):\n%s", diff)
		}
	})
}

// A journal whose file cannot be written is a problem.
func TestEventsThatAreNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(journal.Path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		events := journal.New(dir, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- events.Keeper().Run(ctx) }()
		<-events.Keeper().Ready()
		if got := unsaved(events); got != nil {
			t.Errorf("before anything is recorded: %v", got)
		}
		events.Record(event.Event{Kind: event.DaemonStarted})
		synctest.Wait()
		if got := unsaved(events); len(got) != 1 || got[0].Code != problem.EventsNotSaved || !strings.Contains(got[0].Text, journal.Path(dir)) {
			t.Errorf("%+v", got)
		}
		cancel()
		<-done
	})
}
