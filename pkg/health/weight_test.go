package health_test

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// The smallest of the weights that checks give counts, until a check gives none.
func TestWeights(t *testing.T) {
	at := time.Unix(1, 0)
	gives := func(s health.State, weight uint16) health.State {
		s, _ = s.Step(at, health.Result{Class: health.Good, Code: health.OK, Weighted: true, Weight: weight})
		return s
	}
	plain, _ := health.New(1, 2).Step(at, health.Result{Class: health.Good, Code: health.OK})
	ten, three := gives(health.New(1, 2), 10), gives(health.New(1, 2), 3)
	for name, tt := range map[string]struct {
		v        health.Verdict
		weighted bool
		weight   uint16
	}{
		"none":     {health.All([]health.State{plain}), false, 0},
		"one":      {health.All([]health.State{plain, ten}), true, 10},
		"smallest": {health.All([]health.State{ten, three}), true, 3},
		"at least": {health.AtLeast(1, []health.State{ten, three}), true, 3},
	} {
		if tt.v.Weighted != tt.weighted || tt.v.Weight != tt.weight {
			t.Errorf("%s: %+v", name, tt.v)
		}
	}
	kept, _ := ten.Step(at, health.Result{Class: health.Unknown, Code: health.Unrunnable})
	if v := health.All([]health.State{kept}); !v.Weighted || v.Weight != 10 {
		t.Errorf("an inconclusive check changes the weight: %+v", v)
	}
	down, _ := gives(health.New(1, 1), 10).Step(at, health.Result{Class: health.Bad, Code: health.Failed})
	if v := health.All([]health.State{down}); v.Up || v.Weighted || v.Weight != 0 {
		t.Errorf("a server that is down has a weight: %+v", v)
	}
	without, _ := ten.Step(at, health.Result{Class: health.Good, Code: health.OK})
	if v := health.All([]health.State{without}); v.Weighted {
		t.Errorf("the weight stays: %+v", v)
	}
}
