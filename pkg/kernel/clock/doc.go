// Package clock reports for how long the host was suspended. Go's timers and time.Since do not advance during a suspend
// (CLOCK_MONOTONIC); callers for which that time matters add it.
//
// It does not use the wall clock, which can be set at any time.
package clock
