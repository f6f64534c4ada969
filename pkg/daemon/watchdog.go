package daemon

import (
	"context"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// watchdog feeds the systemd watchdog while the loops make progress, until ctx ends. Without WATCHDOG_USEC, that is
// without WatchdogSec= in the unit, it does nothing (sd_watchdog_enabled(3)).
func watchdog(ctx context.Context, loops *heartbeat.Set, log *slog.Logger) {
	limit, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("cannot feed the systemd watchdog", "error", err)
		return
	}
	if limit > 0 {
		feed(ctx, loops, limit, log, func() { _, _ = sd.SdNotify(false, sd.SdNotifyWatchdog) }) // fails without systemd
	}
}

// feed calls alive four times per limit while every loop makes progress within the limit. Only the time in which the
// process was running counts, so stopping the whole process is not a stall of a loop.
func feed(ctx context.Context, loops *heartbeat.Set, limit time.Duration, log *slog.Logger, alive func()) {
	every := limit / 4
	monitor, tick := heartbeat.NewMonitor(loops), heartbeat.NewTicker(every)
	defer tick.Stop()
	logged := false
	for last := time.Now(); ; {
		lived := min(time.Since(last), every*3/2)
		last = time.Now()
		stalled := ""
		for _, loop := range monitor.Look(lived) {
			if loop.For >= max(limit, 3*heartbeat.Every) {
				stalled = loop.Name
			}
		}
		switch {
		case stalled == "":
			alive()
			logged = false
		case !logged:
			log.Error("a loop has stalled; no longer feeding the systemd watchdog, so systemd will restart this daemon",
				"loop", stalled, "within", limit.String())
			logged = true
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
