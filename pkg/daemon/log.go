package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// newLog creates the daemon's log. Under journald, lines have no timestamp because the journal adds one.
func newLog(f flags, w io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if f.debug {
		options.Level = slog.LevelDebug
	}
	if os.Getenv("JOURNAL_STREAM") != "" {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, &UsageError{fmt.Errorf("--log-format %s: must be text or json", f.logFormat)}
	}
}
