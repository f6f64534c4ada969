package daemon

import (
	"context"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// watchdog tells systemd that the loops make progress, until ctx ends. Without WATCHDOG_USEC, that is without WatchdogSec=
// in the unit, it does nothing (sd_watchdog_enabled(3)).
func watchdog(ctx context.Context, loops *heartbeat.Set, log *slog.Logger) {
	limit, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog cannot be fed", "error", err)
		return
	}
	if limit > 0 {
		feed(ctx, loops, limit, log, func() { _, _ = sd.SdNotify(false, sd.SdNotifyWatchdog) }) // nobody there: nobody waits
	}
}

// feed calls alive four times in every limit, as long as every loop has made a turn within the limit. A process that was
// stopped as a whole is no loop that hangs: only the time that it ran counts.
func feed(ctx context.Context, loops *heartbeat.Set, limit time.Duration, log *slog.Logger, alive func()) {
	every := limit / 4
	monitor, tick := heartbeat.NewMonitor(loops), time.NewTicker(every)
	defer tick.Stop()
	told := false
	for last := time.Now(); ; {
		lived := min(time.Since(last), every*3/2)
		last = time.Now()
		standing := ""
		for _, loop := range monitor.Look(lived) {
			if loop.For >= max(limit, 3*heartbeat.Every) {
				standing = loop.Name
			}
		}
		switch {
		case standing == "":
			alive()
			told = false
		case !told:
			log.Error("a loop stands still; systemd is not told any more that this daemon lives, and will restart it",
				"loop", standing, "within", limit.String())
			told = true
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
