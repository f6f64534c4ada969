// Package clock says for how long the machine was suspended. Go's timers and time.Since stand still meanwhile
// (CLOCK_MONOTONIC); who must not mistake an hour of sleep for a moment adds it to them.
//
// It decides nothing by the wall clock, which anybody can set.
package clock
