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
		back  bool
		f     facts
		want  string
	}
	for _, tt := range []struct {
		name  string
		steps []step
		said  string
	}{
		{"all is well", []step{{0, false, none, notChecked}, {time.Second, false, all, ""}, {time.Hour, false, none, ""}}, ""},
		{"a table that serves does not make checks", []step{{0, false, facts{serves: true, synced: true}, notChecked}, {2, false, all, ""}}, ""},
		{"nobody is up", []step{{0, false, none, notChecked}, {time.Second, false, checked, noServer}, {29 * time.Second, false, checked, noServer}, {30 * time.Second, false, checked, ""}}, "no real server is up"},
		{"somebody is up at last", []step{{0, false, checked, noServer}, {20 * time.Second, false, all, ""}}, ""},
		{"checks that do not end", []step{{0, false, none, notChecked}, {30 * time.Second, false, none, ""}}, "first checks or table not done in time"},
		{"back without a server", []step{{0, false, all, ""}, {time.Minute, true, checked, returned}, {89 * time.Second, false, checked, returned}, {90 * time.Second, false, checked, ""}}, "no real server is up"},
		{"back with one", []step{{0, false, all, ""}, {time.Minute, true, all, ""}}, ""},
		{"back again and again", []step{{0, false, all, ""}, {10 * time.Second, true, checked, returned}, {30 * time.Second, true, checked, returned}, {59 * time.Second, false, checked, returned}, {time.Minute, false, checked, ""}}, "no real server is up"},
	} {
		var log logtest.Buffer
		begin := time.Now()
		r := starting(begin)
		for _, s := range tt.steps {
			now := begin.Add(s.after)
			got := r.look(now, s.f, slog.New(slog.NewTextHandler(&log, nil)))
			if s.back {
				r.back(now, s.f)
				got = r.reason
			}
			if got != s.want {
				t.Errorf("%s: after %s %q, want %q", tt.name, s.after, got, s.want)
			}
		}
		if n := log.Count("level=WARN"); tt.said == "" && n > 0 || tt.said != "" && log.Count(tt.said) != 1 {
			t.Errorf("%s: logged %s", tt.name, log.String())
		}
	}
}
