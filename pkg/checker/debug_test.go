package checker

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDebugLogsEveryProbe: each probe is a line, and none without --debug.
func TestDebugLogsEveryProbe(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelDebug: 3, slog.LevelInfo: 0} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := New(newFarm().probe, nil, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})), nil)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- c.Run(ctx) }()
			check := mysqlCheck()
			c.Set([]Spec{spec("mysql/mysql1", one, check)})
			pass(2*check.Interval + time.Millisecond)
			cancel()
			<-done
			if got := strings.Count(log.String(), `level=DEBUG msg=checked server=mysql/mysql1 class=good code=ok`); got != want {
				t.Errorf("%s: %d lines, want %d:\n%s", level, got, want, log.String())
			}
		})
	}
}
