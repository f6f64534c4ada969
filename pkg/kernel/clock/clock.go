package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Suspended is for how long this machine has been suspended since it booted: CLOCK_BOOTTIME counts that, CLOCK_MONOTONIC
// does not (clock_gettime(2)). It is 0 where the kernel has not both.
func Suspended() time.Duration {
	for {
		before, ok := read(unix.CLOCK_MONOTONIC)
		all, ok2 := read(unix.CLOCK_BOOTTIME)
		after, ok3 := read(unix.CLOCK_MONOTONIC)
		switch {
		case !ok || !ok2 || !ok3:
			return 0
		case after-before < time.Millisecond: // or this thread was stopped in between, and the difference means nothing
			return max(all-before, 0).Truncate(resolution)
		}
	}
}

// resolution hides the moments between the two readings: a machine that never slept has slept for 0.
const resolution = 10 * time.Millisecond

func read(id int32) (time.Duration, bool) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}
