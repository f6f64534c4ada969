package ctl

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const (
	// askSystemd limits how long systemd is asked.
	askSystemd = 2 * time.Second
	// hooksOfStop is how long a graceful stop waits at most for the hooks before and after a handover.
	hooksOfStop = 15 * time.Second
)

// stopTimeoutOf returns how long systemd waits for the end of a unit; ok is false if it cannot be found out, because systemd
// or the unit is missing, and if it waits for ever.
func stopTimeoutOf(unit string) (timeout time.Duration, ok bool) {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return 0, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askSystemd)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=LoadState,TimeoutStopUSec", unit).Output()
	if err != nil || !strings.Contains(string(out), "LoadState=loaded\n") {
		return 0, false
	}
	for line := range strings.Lines(string(out)) {
		if text, found := strings.CutPrefix(strings.TrimSpace(line), "TimeoutStopUSec="); found {
			return systemdSpan(text)
		}
	}
	return 0, false
}

// systemdSpan reads a time span as systemd prints it, such as "1min 30s"; ok is false for "infinity" and what is none.
func systemdSpan(text string) (span time.Duration, ok bool) {
	units := map[string]time.Duration{
		"d": 24 * time.Hour, "h": time.Hour, "min": time.Minute, "s": time.Second, "ms": time.Millisecond, "us": time.Microsecond, "w": 7 * 24 * time.Hour,
	}
	for _, word := range strings.Fields(text) {
		digits := strings.TrimRight(word, "abcdefghijklmnopqrstuvwxyz")
		n, err := strconv.ParseFloat(digits, 64)
		unit, known := units[strings.TrimPrefix(word, digits)]
		if err != nil || !known || n < 0 || n > 1e6 {
			return 0, false
		}
		span, ok = span+time.Duration(n*float64(unit)), true
	}
	return span, ok
}

// shortStop returns a warning if systemd would kill the director before a handover has ended, "" otherwise.
func shortStop(cfg *config.Config, of func(unit string) (time.Duration, bool)) string {
	const unit = "lvs-director.service"
	limit, ok := of(unit)
	if !ok || len(cfg.Instances) == 0 || cfg.StopTimeout+hooksOfStop < limit {
		return ""
	}
	return fmt.Sprintf("stop_timeout %s and %s for hooks are not less than TimeoutStopSec of %s, %s: systemd would kill the director (raise TimeoutStopSec, or lower stop_timeout)",
		cfg.StopTimeout, hooksOfStop, unit, limit)
}
