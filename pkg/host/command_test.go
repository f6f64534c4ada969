package host

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/health"
)

func TestResultOf(t *testing.T) {
	for name, tt := range map[string]struct {
		outcome command.Outcome
		code    health.Code
		class   health.Class
		weighs  bool
	}{
		"good":       {command.Outcome{}, health.OK, health.Good, false},
		"failed":     {command.Outcome{Status: 1}, health.Failed, health.Bad, false},
		"status 2":   {command.Outcome{Status: 2}, health.Failed, health.Bad, true},
		"signal":     {command.Outcome{Signal: "killed", Status: 2}, health.Failed, health.Bad, false},
		"timed out":  {command.Outcome{TimedOut: true, Took: time.Second}, health.Timeout, health.Bad, false},
		"unrunnable": {command.Outcome{Unrunnable: "it is missing"}, health.Unrunnable, health.Unknown, false},
		"stuck":      {command.Outcome{Busy: "it does not end"}, health.Stuck, health.Unknown, false},
	} {
		if r := resultOf(tt.outcome); r.Code != tt.code || r.Class != tt.class || tt.outcome.Weighs() != tt.weighs {
			t.Errorf("%s: %+v, %t", name, r, tt.outcome.Weighs())
		}
	}
}
