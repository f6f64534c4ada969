package director

import (
	"log/slog"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/logtest"
)

func TestReadiness(t *testing.T) {
	none, checked, all := facts{warm: true}, facts{checked: true, synced: true, warm: true}, facts{checked: true, synced: true, serves: true, warm: true}
	type step struct {
		after time.Duration // the start
		f     facts
		want  string
	}
	const late, lateSync = "first checks or table not done in time", "the connections of the MASTER were not learned in time"
	unlearned := facts{checked: true, synced: true, serves: true, warmWithin: 10 * time.Second, master: true}
	alone := facts{checked: true, synced: true, serves: true, warmWithin: 10 * time.Second}
	unlearnedNoServer := facts{checked: true, synced: true, warmWithin: 10 * time.Second}
	uncheckedAndUnlearned := facts{warmWithin: 10 * time.Second}
	for _, tt := range []struct {
		name  string
		steps []step
		said  string
	}{
		{"all is well", []step{{0, none, notChecked}, {time.Second, all, ""}}, ""},
		{"a table that serves does not make checks", []step{{0, facts{serves: true, synced: true, warm: true}, notChecked}, {2, all, ""}}, ""},
		{"no real server is up", []step{{0, none, notChecked}, {time.Second, checked, noServer}, {time.Hour, checked, noServer}, {2 * time.Hour, all, ""}}, ""},
		{"the last real server goes down later", []step{{0, all, ""}, {time.Hour, checked, noServer}, {2 * time.Hour, all, ""}}, ""},
		{"checks that do not end", []step{{0, none, notChecked}, {30 * time.Second, facts{serves: true, warm: true}, ""}, {time.Hour, facts{serves: true, warm: true}, ""}}, late},
		{"checks that do not end, and no real server", []step{{30 * time.Second, none, noServer}, {time.Hour, none, noServer}, {2 * time.Hour, facts{serves: true, warm: true}, ""}}, late},
		{"cold, then warm", []step{{time.Second, unlearned, cold}, {9 * time.Second, unlearned, cold}, {9 * time.Second, all, ""}, {time.Hour, unlearned, ""}}, ""},
		{"cold for too long", []step{{time.Second, unlearned, cold}, {10 * time.Second, unlearned, ""}, {time.Hour, unlearned, ""}}, lateSync},
		{"no MASTER to learn from", []step{{time.Second, alone, cold}, {10 * time.Second, alone, ""}, {time.Hour, unlearned, ""}}, ""},
		{"cold, and no real server", []step{{time.Second, unlearnedNoServer, noServer}, {2 * time.Second, unlearned, cold}, {3 * time.Second, all, ""}}, ""},
		{"warm before the checks are done is not taken for learned", []step{{0, none, notChecked}, {time.Second, unlearned, cold}, {2 * time.Second, all, ""}}, ""},
		{"the checks take longer than the connections may", []step{{0, uncheckedAndUnlearned, notChecked}, {20 * time.Second, unlearned, ""}}, lateSync},
	} {
		var log logtest.Buffer
		begin := time.Now()
		r := starting(begin)
		for _, s := range tt.steps {
			if got := r.look(begin.Add(s.after), s.f, slog.New(slog.NewTextHandler(&log, nil))); got != s.want {
				t.Errorf("%s: after %s %q, want %q", tt.name, s.after, got, s.want)
			}
		}
		if n := log.Count("level=WARN"); tt.said == "" && n > 0 || tt.said != "" && log.Count(tt.said) != 1 {
			t.Errorf("%s: logged %s", tt.name, log.String())
		}
	}
}

// TestReadinessWaits: the loop looks again when a wait ends.
func TestReadinessWaits(t *testing.T) {
	begin := time.Now()
	r := starting(begin)
	log := slog.New(slog.DiscardHandler)
	for _, s := range []struct {
		after time.Duration
		f     facts
		want  time.Duration
	}{
		{time.Second, facts{warmWithin: 10 * time.Second}, 29 * time.Second},
		{2 * time.Second, facts{checked: true, synced: true, serves: true, warmWithin: 10 * time.Second}, 8 * time.Second},
		{3 * time.Second, facts{checked: true, synced: true, serves: true, warm: true, warmWithin: 10 * time.Second}, time.Hour},
	} {
		now := begin.Add(s.after)
		r.look(now, s.f, log)
		if got := r.wait(now); got != s.want {
			t.Errorf("after %s: %s, want %s", s.after, got, s.want)
		}
	}
}
