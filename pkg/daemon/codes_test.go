package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// surrounded is what surrounds a service: its cluster file and its journal.
type surrounded struct {
	t      *testing.T
	dir    string
	file   string
	life   *life
	events *journal.Journal
	public *published
	remote *published
}

// codesCases has a case for each code of problemtest.OfDaemon.
func codesCases() []problemtest.Case[*surrounded] {
	reload := func(text string, want bool) func(s *surrounded) {
		return func(s *surrounded) {
			put(s.t, s.file, text)
			if err := s.life.reload(s.t.Context(), s.life.service, false, "root"); (err == nil) != want {
				s.t.Errorf("reload: %v", err)
			}
		}
	}
	return []problemtest.Case[*surrounded]{
		{
			Code: problem.ClusterFileUnusable,
			Break: func(s *surrounded) {
				s.life.stop()
				put(s.t, s.file, "version: 2\n")
				s.begin()
			},
			Mend: reload(clusterFile, true),
		},
		{
			Code: problem.ClusterFileChanged, Fault: "edited",
			Break: func(s *surrounded) { put(s.t, s.file, otherFile) },
			Mend:  reload(otherFile, true),
		},
		{
			Code: problem.ClusterFileChanged, Fault: "broken",
			Break: func(s *surrounded) { put(s.t, s.file, "version: 2\n") },
			Mend:  func(s *surrounded) { put(s.t, s.file, clusterFile) },
		},
		{
			Code: problem.ClusterFileChanged, Fault: "gone",
			Break: func(s *surrounded) {
				if err := os.Remove(s.file); err != nil {
					s.t.Fatal(err)
				}
			},
			Mend: func(s *surrounded) { put(s.t, s.file, clusterFile) },
		},
		{
			Code: problem.ClusterFileUnusable, Fault: "until the file is restored",
			Break: func(s *surrounded) {
				s.life.stop()
				put(s.t, s.file, "version: 2\n")
				s.begin()
			},
			Mend: func(s *surrounded) { put(s.t, s.file, clusterFile) },
		},
		{
			Code:  problem.ReloadRefused,
			Break: reload("version: 2\n", false),
			Mend:  reload(otherFile, true),
		},
		{
			Code: problem.ReloadRefused, Fault: "until the file is restored",
			Break: reload("version: 2\n", false),
			Mend:  func(s *surrounded) { put(s.t, s.file, clusterFile) },
		},
		{
			Code: problem.ReloadRefused, Fault: "this machine can no longer run the file",
			Break: func(s *surrounded) {
				s.life.service.refuse = errors.New("no IPVS")
				reload(clusterFile, false)(s)
			},
			Mend: func(s *surrounded) {
				s.life.service.refuse = nil
				reload(clusterFile, true)(s)
			},
		},
		{
			Code: problem.EventsNotSaved,
			Break: func(s *surrounded) {
				if err := os.MkdirAll(filepath.Join(journal.Path(s.dir), "in the way"), 0o700); err != nil {
					s.t.Fatal(err)
				}
				s.events.Record(event.Event{Kind: event.VirtualServerState})
			},
			Mend: func(s *surrounded) {
				if err := os.RemoveAll(journal.Path(s.dir)); err != nil {
					s.t.Fatal(err)
				}
			},
		},
		{
			Code: problem.MetricsNotPublished, Fault: "the port is taken",
			Break: func(s *surrounded) {
				s.public.ports.take(true)
				s.public.apply("127.0.0.1:9650", "")
			},
			Mend: func(s *surrounded) { s.public.ports.take(false) },
		},
		{
			Code: problem.MetricsNotPublished, Fault: "a broken web configuration",
			Break: func(s *surrounded) {
				put(s.t, filepath.Join(s.dir, "web.yaml"), "basic_auth_users: {a: b}")
				s.public.apply("127.0.0.1:9650", filepath.Join(s.dir, "web.yaml"))
			},
			Mend: func(s *surrounded) { put(s.t, filepath.Join(s.dir, "web.yaml"), "") },
		},
		{
			Code: problem.MetricsNotPublished, Fault: "no longer wanted",
			Break: func(s *surrounded) {
				s.public.ports.take(true)
				s.public.apply("127.0.0.1:9650", "")
			},
			Mend: func(s *surrounded) { s.public.apply("", "") },
		},
		{
			Code: problem.APINotOffered,
			Break: func(s *surrounded) {
				put(s.t, filepath.Join(s.dir, "api.yaml"), "")
				s.remote.apply("127.0.0.1:9651", filepath.Join(s.dir, "api.yaml"))
			},
			Mend: func(s *surrounded) { s.remote.apply("", "") },
		},
	}
}

func (s *surrounded) begin() {
	var err error
	if s.life, err = live(s.t, s.file, s.dir); err != nil {
		s.t.Fatal(err)
	}
}

// TestProblemCodes breaks each thing: the problem code appears within 5 s, stays, and goes away within 5 s of the
// repair.
func TestProblemCodes(t *testing.T) {
	problemtest.Complete(t, problem.Both, "pkg/daemon/codes_test.go", codesCases())
	for _, c := range codesCases() {
		t.Run(c.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &surrounded{t: t, dir: t.TempDir(), file: write(t, clusterFile)}
				s.public, s.remote = publish(t), answering(t)
				s.events = journal.New(s.dir, func(event.Event) {})
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan struct{})
				go func() { _ = s.events.Keeper().Run(ctx); close(ended) }()
				s.begin()
				defer func() { s.life.stop(); cancel(); <-ended }()
				var history problem.History
				look := func() []problem.Problem {
					now := problem.Declared().Report(slices.Concat(s.life.problems(), unsaved(s.events), s.public.problems(), s.remote.problems()))
					history.Look(time.Now(), now, true)
					return now
				}
				c.Try(t, s, look, func(d time.Duration) {
					time.Sleep(d)
					synctest.Wait()
				})
			})
		})
	}
}
