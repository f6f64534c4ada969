package health_test

import (
	"testing"

	"github.com/lvs-director/lvs-director/pkg/health"
)

func TestAtLeast(t *testing.T) {
	result := func(target string, class health.Class) health.State {
		s := health.New(1, 1)
		switch class {
		case health.Good:
			s, _ = s.Step(at(1), health.Result{Class: class, Code: health.OK, Cause: "ping: " + target + " answered in 1ms"})
		case health.Bad:
			s, _ = s.Step(at(2), health.Result{Class: class, Code: health.Timeout, Cause: "ping: " + target + ": no answer within 1s"})
		}
		return s
	}
	a, b, c := result("a", health.Good), result("b", health.Good), result("c", health.Good)
	noA, noB, noC := result("a", health.Bad), result("b", health.Bad), result("c", health.Bad)
	fresh := health.New(1, 1)
	one := func(r ...health.Result) health.State { s, _ := play(health.New(1, 1), r...); return s }
	ends, kept, unsure, filled := one(expires), one(good, denied), one(denied), one(full)
	const endsText = "up: tls: the certificate ends in 3 days"
	for _, one := range []struct {
		want   int
		states []health.State
		known  bool
		up     bool
		code   health.Code
		reason string
	}{
		{2, []health.State{a, b, c}, true, true, health.OK, "up: 3 of 3 pass, 2 needed: ping: a answered in 1ms; ping: b answered in 1ms; ping: c answered in 1ms"},
		{2, []health.State{a, b, noC}, true, true, health.Timeout, "up: 2 of 3 pass, 2 needed: down: ping: c: no answer within 1s (first check)"},
		{2, []health.State{a, noB, noC}, true, false, health.Timeout, "down: 1 of 3 pass, 2 needed: down: ping: b: no answer within 1s (first check); down: ping: c: no answer within 1s (first check)"},
		{2, []health.State{a, fresh, noC}, false, false, "", "unknown: 1 of 3 pass, 2 needed: unknown: not checked yet; down: ping: c: no answer within 1s (first check)"},
		{2, []health.State{noA, noB, fresh}, true, false, health.Timeout, "down: 0 of 3 pass, 2 needed: down: ping: a: no answer within 1s (first check); down: ping: b: no answer within 1s (first check); unknown: not checked yet"},
		{1, []health.State{a, fresh}, true, true, "", "up: 1 of 2 pass, 1 needed: unknown: not checked yet"},
		{2, []health.State{a, b, ends}, true, true, health.Expires, "up: 3 of 3 pass, 2 needed: " + endsText},
		{1, []health.State{a, kept}, true, true, health.Auth, "up: 2 of 2 pass, 1 needed: up: kept: mysql: access denied (check the password_file) (last good 1s ago)"},
		{1, []health.State{noA, ends}, true, true, health.Expires, "up: 1 of 2 pass, 1 needed: down: ping: a: no answer within 1s (first check); " + endsText},
		{1, []health.State{noA, b, unsure}, true, true, health.Auth, "up: 1 of 3 pass, 1 needed: down: ping: a: no answer within 1s (first check); unknown: mysql: access denied (check the password_file)"},
		{2, []health.State{noA, ends}, true, false, health.Timeout, "down: 1 of 2 pass, 2 needed: down: ping: a: no answer within 1s (first check); " + endsText},
		{2, []health.State{fresh, ends}, false, false, "", "unknown: 1 of 2 pass, 2 needed: unknown: not checked yet; " + endsText},
		{1, []health.State{a, filled}, true, true, health.OK, "up: 2 of 2 pass, 1 needed: up: full: mysql: Error 1040: Too many connections"},
		{2, []health.State{ends, filled}, true, true, health.ServerFull, "up: 2 of 2 pass, 2 needed: " + endsText + "; up: full: mysql: Error 1040: Too many connections"},
		{1, []health.State{a}, true, true, health.OK, "up: ping: a answered in 1ms"},
		{1, []health.State{noA}, true, false, health.Timeout, "down: ping: a: no answer within 1s (first check)"},
	} {
		if got := health.AtLeast(one.want, one.states); got.Known != one.known || got.Up != one.up || got.Code != one.code || got.Reason != one.reason {
			t.Errorf("%d of %d:\ngot  %+v\nwant %+v", one.want, len(one.states), got, one)
		}
	}
}

// TestDoubtful: a failure that does not count yet makes what is up doubtful, if it would be down without it.
func TestDoubtful(t *testing.T) {
	up, _ := play(health.New(2, 2), good)
	failing, _ := play(health.New(2, 2), good, frozen)
	down, _ := play(health.New(2, 2), good, frozen, frozen)
	for _, one := range []struct {
		verdict health.Verdict
		want    bool
	}{
		{health.All([]health.State{up}), false},
		{health.All([]health.State{failing}), true},
		{health.All([]health.State{up, failing}), true},
		{health.All([]health.State{down}), false},
		{health.All([]health.State{down, failing}), false},
		{health.AtLeast(1, []health.State{up, failing}), false},
		{health.AtLeast(1, []health.State{down, failing}), true},
		{health.AtLeast(2, []health.State{up, failing}), true},
		{health.AtLeast(1, []health.State{failing}), true},
	} {
		if one.verdict.Doubtful != one.want {
			t.Errorf("%+v: want %t", one.verdict, one.want)
		}
	}
}
