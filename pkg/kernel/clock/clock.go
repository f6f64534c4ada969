package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Suspended returns the total time for which this host has been suspended since boot: CLOCK_BOOTTIME includes it,
// CLOCK_MONOTONIC does not (clock_gettime(2)). It is 0 if the kernel does not have both clocks.
func Suspended() time.Duration {
	for {
		before, ok := read(unix.CLOCK_MONOTONIC)
		all, ok2 := read(unix.CLOCK_BOOTTIME)
		after, ok3 := read(unix.CLOCK_MONOTONIC)
		switch {
		case !ok || !ok2 || !ok3:
			return 0
		case after-before < time.Millisecond: // otherwise the thread was preempted: no valid difference
			return max(all-before, 0).Truncate(resolution)
		}
	}
}

// resolution hides the time between the two readings: the result is 0 on a host that was never suspended.
const resolution = 10 * time.Millisecond

func read(id int32) (time.Duration, bool) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}
