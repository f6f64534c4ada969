package director

import (
	"log/slog"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/logtest"
)

func TestReadiness(t *testing.T) {
	none, checked, all := facts{}, facts{checked: true, synced: true}, facts{checked: true, synced: true, serves: true}
	type step struct {
		after time.Duration // the start
		f     facts
		want  string
	}
	const late = "first checks or table not done in time"
	for _, tt := range []struct {
		name  string
		steps []step
		said  string
	}{
		{"all is well", []step{{0, none, notChecked}, {time.Second, all, ""}}, ""},
		{"a table that serves does not make checks", []step{{0, facts{serves: true, synced: true}, notChecked}, {2, all, ""}}, ""},
		{"no real server is up", []step{{0, none, notChecked}, {time.Second, checked, noServer}, {time.Hour, checked, noServer}, {2 * time.Hour, all, ""}}, ""},
		{"the last real server goes down later", []step{{0, all, ""}, {time.Hour, checked, noServer}, {2 * time.Hour, all, ""}}, ""},
		{"checks that do not end", []step{{0, none, notChecked}, {30 * time.Second, facts{serves: true}, ""}, {time.Hour, facts{serves: true}, ""}}, late},
		{"checks that do not end, and no real server", []step{{30 * time.Second, none, noServer}, {time.Hour, none, noServer}, {2 * time.Hour, facts{serves: true}, ""}}, late},
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
