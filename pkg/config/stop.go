package config

import "time"

const (
	// defaultStopTimeout is more than a handover takes with adverts every second or more often, and together with the hooks
	// before and after a stop less than TimeoutStopSec in deploy/systemd/lvs-director.service.
	defaultStopTimeout = 10 * time.Second
	maxStopTimeout     = 10 * time.Minute
)

func stopTimeoutField() key[contents] {
	return &field[contents, time.Duration]{
		name: "stop_timeout", kind: durationIn(0, maxStopTimeout), in: func(c *contents) *time.Duration { return &c.stopTimeout }, def: defaultStopTimeout,
		doc: "how long a graceful stop waits at most until another director has taken over, so that clients notice nothing; `0s`: it " +
			"resigns at once. `TimeoutStopSec` of the unit must be longer by the `15s` for hooks. See [failover.md](failover.md#planned-handover)",
		reload: Live,
	}
}
