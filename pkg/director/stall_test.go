package director

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

func TestJudge(t *testing.T) {
	var said []string
	full := false
	var loops heartbeat.Set
	beat := loops.Start("the election of mysql")
	elections := map[config.InstanceID]candidate{"mysql": {
		heart:   beat,
		lease:   5 * time.Second,
		stalled: func(problem string) bool { said = append(said, fmt.Sprintf("degraded %q", problem)); return !full },
		release: func() { said = append(said, "release") },
	}}
	v := newStallMonitor(nil, nil, slog.New(slog.DiscardHandler))
	look := func(want string, idle ...heartbeat.Idle) {
		t.Helper()
		said = nil
		problem := v.judge(idle, func() map[config.InstanceID]candidate { return elections })
		if got := strings.Join(said, "; "); got != want {
			t.Errorf("%v: %q, want %q", idle, got, want)
		}
		if (problem != "") != slices.ContainsFunc(idle, func(i heartbeat.Idle) bool { return i.For >= heartbeat.StalledAfter }) {
			t.Errorf("%v: problem %q", idle, problem)
		}
	}
	table := func(d time.Duration) heartbeat.Idle { return heartbeat.Idle{Name: "the table loop", For: d} }
	actor := func(d time.Duration) heartbeat.Idle {
		return heartbeat.Idle{Name: "the election of mysql", Signal: beat, For: d}
	}
	const degraded = `degraded "the table loop made no progress for 30s (a bug, or a kernel that does not answer; a restart helps)"`
	look("", table(29*time.Second), actor(0))
	full = true
	look(degraded, table(30*time.Second), actor(0))
	full = false
	look(degraded, table(31*time.Second), actor(0)) // the offer was not accepted
	look("", table(32*time.Second), actor(0))
	look(`degraded ""`, table(0), actor(4*time.Second))
	// A stalled election cannot be told anything; another director has taken over its addresses by now.
	look("release", actor(5*time.Second))
	look("release", actor(30*time.Second))
	look("", actor(0))
	// A reload starts another election with the same name while a loop is stalled.
	look(degraded, table(30*time.Second))
	other := elections["mysql"]
	other.heart = loops.Start("the election of mysql")
	elections["mysql"] = other
	look(degraded, table(31*time.Second))
	look(`degraded ""`, table(0))
	delete(elections, "mysql")
	look("", actor(time.Minute))
}

func TestTooLate(t *testing.T) {
	s := &election.Snapshot{AdvertInterval: 100 * time.Millisecond}
	if got := tooLate("mysql", s); got != nil {
		t.Errorf("without adverts: %v", got)
	}
	if lateness(s.Lateness) != nil {
		t.Error("an empty histogram is reported")
	}
}
