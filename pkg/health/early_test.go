package health

import (
	"strings"
	"testing"
	"time"
)

var (
	goodResult    = Result{Code: OK, Class: Good, Cause: "mysql: answered"}
	refusedResult = Result{Code: Refused, Class: Bad, Cause: "mysql: refused"}
)

// TestEarly: what a check that was made ahead of its time does to a server that is up, with fall 2, rise 2 and settle 3.
func TestEarly(t *testing.T) {
	tests := map[string]struct {
		results []Result
		counts  string // for each result, whether it counts
		up      bool
		doubt   bool
	}{
		"refused once":           {[]Result{refusedResult}, "y", true, true},
		"refused twice":          {[]Result{refusedResult, refusedResult}, "yy", false, false},
		"reset and refused":      {[]Result{{Code: Reset, Class: Bad}, refusedResult}, "yy", false, false},
		"says that it ends":      {[]Result{{Code: Shutdown, Class: Bad}}, "y", false, false},
		"silent":                 {[]Result{{Code: Timeout, Class: Bad}, {Code: Timeout, Class: Bad}}, "nn", true, false},
		"no ARP":                 {[]Result{{Code: Unreachable, Class: Bad}, {Code: Unreachable, Class: Bad}}, "nn", true, false},
		"refused, then silent":   {[]Result{refusedResult, {Code: Timeout, Class: Bad}}, "yn", true, true},
		"lives":                  {[]Result{goodResult}, "y", true, false},
		"refused, then lives":    {[]Result{refusedResult, goodResult}, "yy", true, false},
		"rejected by this host":  {[]Result{{Code: NoNetwork}, {Code: NoNetwork}}, "yy", true, false},
		"refused by the account": {[]Result{{Code: Auth}, {Code: Auth}}, "yy", true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := New(2, 2).Step(time.Time{}, goodResult)
			counts := ""
			for _, r := range tt.results {
				var is bool
				s, is = s.StepEarly(time.Time{}, r, 3)
				counts += map[bool]string{true: "y", false: "n"}[is]
			}
			if counts != tt.counts || s.Up() != tt.up || s.Doubtful() != tt.doubt {
				t.Errorf("counts %s, up %v, doubtful %v: %s", counts, s.Up(), s.Doubtful(), s.verdict().Reason)
			}
		})
	}
}

// TestEarlyComesBack: a server that early checks took out needs settle successes in a row, and what it had is void when its
// kept connection ends.
func TestEarlyComesBack(t *testing.T) {
	s, _ := New(2, 2).Step(time.Time{}, goodResult)
	for range 2 {
		s, _ = s.StepEarly(time.Time{}, refusedResult, 3)
	}
	reason := "down: mysql: refused (2 of 2); checked at once, because the server had ended the kept connection"
	if got := s.verdict().Reason; got != reason || !strings.Contains(s.Rule(), "checked at once") {
		t.Errorf("reason %q, rule %q", got, s.Rule())
	}
	step := func(r Result, up bool, reason string) {
		t.Helper()
		s, _ = s.Step(time.Time{}, r)
		if v := s.verdict(); v.Up != up || !strings.Contains(v.Reason, reason) {
			t.Errorf("%+v, want up %v and %q", v, up, reason)
		}
	}
	step(goodResult, false, "(1 of 3 successes)")
	step(goodResult, false, "(2 of 3 successes)")
	s = s.Interrupted(3)
	step(goodResult, false, "(1 of 3 successes)")
	step(goodResult, false, "(2 of 3 successes)")
	step(goodResult, true, "up: mysql: answered")
	// The next failure at the usual pace is one of the usual kind.
	step(refusedResult, true, "(1 of 2 failures)")
	step(refusedResult, false, "down: mysql: refused (2 of 2)")
	if strings.Contains(s.verdict().Reason, "at once") {
		t.Error(s.verdict().Reason)
	}
	step(goodResult, false, "(1 of 2 successes)")
	if s = s.Interrupted(4); s.needed() != 4 {
		t.Errorf("it needs %d successes after an interruption, want 4", s.needed())
	}
	if up, _ := New(2, 2).Step(time.Time{}, goodResult); up.Interrupted(4) != up {
		t.Error("an interruption changes the state of a server that is up")
	}
	if resumed := Resume(2, 2, s); resumed.needed() != 2 {
		t.Errorf("after a reload it needs %d successes, want 2", resumed.needed())
	}
}
