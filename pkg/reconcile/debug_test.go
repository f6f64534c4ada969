package reconcile

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDebugLogsEveryAnnouncement: each announcement is a line, and none without --debug.
func TestDebugLogsEveryAnnouncement(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			w := startLogging(t, &log)
			synctest.Wait() // Run waits for something to do
			w.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
			w.Addresses.Acquire("mysql", false)
			time.Sleep(3 * time.Second)
			w.stop()
			want := map[slog.Level]int{slog.LevelDebug: len(w.announced())}[level]
			if got := strings.Count(log.String(), `level=DEBUG msg="announced a VIP" interface=eth0 vip=10.77.0.100`); got != want || len(w.announced()) < 2 {
				t.Errorf("%s: %d lines of %d announcements, want %d:\n%s", level, got, len(w.announced()), want, log.String())
			}
		})
	}
}
