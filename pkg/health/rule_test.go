package health_test

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

func TestRule(t *testing.T) {
	at := time.Unix(1, 0)
	after := func(s health.State, classes ...health.Class) health.State {
		for _, c := range classes {
			s, _ = s.Step(at, health.Result{Class: c, Code: "x"})
		}
		return s
	}
	const g, b, f, u = health.Good, health.Bad, health.Full, health.Unknown
	shut, _ := after(health.New(2, 3), g).Step(at, health.Result{Class: b, Code: health.Shutdown})
	for want, s := range map[string]health.State{
		"undecided: no result says anything about the server yet; the first one that does decides":                                            after(health.New(2, 3), u),
		"undecided: 1 of 3 failures; it was in the table when this director started":                                                          after(health.New(2, 3).Served(), b),
		"down: the first result was a failure; comes back after 2 successes in a row (rise), of which it has 0":                               after(health.New(2, 3), b),
		"down: 3 failures in a row (fall); comes back after 2 successes in a row (rise), of which it has 1":                                   after(health.New(2, 3), g, b, b, b, g),
		"down: 1 failure (fall); comes back after 1 success (rise), of which it has 0":                                                        after(health.New(1, 1), g, b),
		"down: the server reported that it shuts down, which counts at once; comes back after 2 successes in a row (rise), of which it has 0": shut,
		"full: the server takes no more connections; that ends after 2 successes in a row (rise), of which it has 1":                          after(health.New(2, 3), g, f, g),
		"up: goes down after 3 failures in a row (fall), of which it has 2":                                                                   after(health.New(2, 3), g, b, u, b),
		"up: goes down after 3 failures in a row (fall)":                                                                                      after(health.New(2, 3), g, u),
	} {
		if got := s.Rule(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
