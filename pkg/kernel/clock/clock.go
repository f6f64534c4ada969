package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Suspended returns the total time for which this host has been suspended since boot: CLOCK_BOOTTIME includes it,
// CLOCK_MONOTONIC does not (clock_gettime(2)). It is 0 if the kernel does not have both clocks.
func Suspended() time.Duration {
	if !known {
		return 0
	}
	for {
		before := monotonic()
		all, ok := read(unix.CLOCK_BOOTTIME)
		switch after := monotonic(); {
		case !ok:
			return 0
		case after-before < time.Millisecond: // otherwise the thread was preempted: no valid difference
			return max(all-before, 0).Truncate(resolution)
		}
	}
}

// resolution hides the time between the two readings: the result is 0 on a host that was never suspended.
const resolution = 10 * time.Millisecond

// monotonic reads CLOCK_MONOTONIC by way of package time, which needs no system call, unlike read: the elections call
// Suspended for each advert. offset is the reading at epoch; known says whether the kernel has the clock.
func monotonic() time.Duration { return offset + time.Since(epoch) }

var epoch, offset, known = start()

func start() (time.Time, time.Duration, bool) {
	for {
		epoch := time.Now()
		offset, ok := read(unix.CLOCK_MONOTONIC)
		if !ok || time.Since(epoch) < time.Millisecond {
			return epoch, offset, ok
		}
	}
}

func read(id int32) (time.Duration, bool) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}
