package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
)

// newLog creates the daemon's log.
func newLog(f flags, w io.Writer) (*slog.Logger, error) {
	return logTo(f, w, journaled(os.Getenv("JOURNAL_STREAM"), os.Stderr))
}

// logTo creates a log. Under journald, lines have no timestamp, because the journal adds one, and begin with their
// priority.
func logTo(f flags, w io.Writer, journal bool) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if f.debug {
		options.Level = slog.LevelDebug
	}
	if journal {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	var handler func(io.Writer) slog.Handler
	switch f.logFormat {
	case "text":
		handler = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) }
	case "json":
		handler = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) }
	default:
		return nil, &UsageError{fmt.Errorf("--log-format %s: must be text or json", f.logFormat)}
	}
	if !journal {
		return slog.New(handler(w)), nil
	}
	var all prioritized
	for n, priority := range priorities() {
		all[n] = handler(prefixed{w, priority})
	}
	return slog.New(all), nil
}

// journaled reports whether a file is the journal's stream, according to the value of JOURNAL_STREAM: device and inode
// (systemd.exec(5)). A program that was started from a shell in a service inherits the variable, too.
func journaled(stream string, file *os.File) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", s.Dev, s.Ino)
}

// prioritized has a handler for each of priorities.
type prioritized [4]slog.Handler

// priorities are the prefixes of a line that tell journald its priority (sd-daemon(3)), from debug to error.
func priorities() [4]string { return [4]string{"<7>", "<6>", "<4>", errorPriority} }

const errorPriority = "<3>"

// of returns the handler for a level.
func (p prioritized) of(level slog.Level) slog.Handler {
	switch {
	case level < slog.LevelInfo:
		return p[0]
	case level < slog.LevelWarn:
		return p[1]
	case level < slog.LevelError:
		return p[2]
	default:
		return p[3]
	}
}

// Enabled implements slog.Handler.
func (p prioritized) Enabled(ctx context.Context, level slog.Level) bool {
	return p.of(level).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (p prioritized) Handle(ctx context.Context, r slog.Record) error {
	return p.of(r.Level).Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (p prioritized) WithAttrs(attrs []slog.Attr) slog.Handler {
	for n, h := range p {
		p[n] = h.WithAttrs(attrs)
	}
	return p
}

// WithGroup implements slog.Handler.
func (p prioritized) WithGroup(name string) slog.Handler {
	for n, h := range p {
		p[n] = h.WithGroup(name)
	}
	return p
}

// prefixed writes a prefix before each write, which is one line of a log.
type prefixed struct {
	io.Writer
	prefix string
}

// Write implements io.Writer.
func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.Writer.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// prioritize marks the lines of an error for journald.
func prioritize(text string) string {
	return errorPriority + strings.ReplaceAll(text, "\n", "\n"+errorPriority)
}
