package daemon

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logQueue bounds the lines that wait for a reader of the log, and logBytes their size.
	logQueue = 4096
	logBytes = 1 << 20
	// logParting is how long the end of the daemon waits for a reader.
	logParting = time.Second
)

// logWriter keeps a log that nobody reads (a full pipe, a journald that stands still) from stopping the daemon: writing
// never waits. When more waits than it keeps, lines are lost, and a line that comes after says how many.
type logWriter struct {
	out  io.Writer
	log  *slog.Logger  // straight to out
	wake chan struct{} // capacity 1
	over chan struct{} // closed when everything is written after the end

	mu     sync.Mutex // guards what follows
	lines  [][]byte
	size   int
	lost   int
	ending bool
}

// newLogWriter starts the writing. close ends it. log writes straight to out.
func newLogWriter(out io.Writer, log *slog.Logger) *logWriter {
	w := &logWriter{out: out, log: log, wake: make(chan struct{}, 1), over: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one line. It never fails: there is nobody to tell.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if len(w.lines) >= logQueue || w.size+len(line) > logBytes {
		w.lost++
	} else {
		w.lines = append(w.lines, bytes.Clone(line))
		w.size += len(line)
	}
	w.mu.Unlock()
	w.poke()
	return len(line), nil
}

// close writes what is waiting, and gives up on a reader that is not there.
func (w *logWriter) close() {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	w.poke()
	timer := time.NewTimer(logParting)
	defer timer.Stop()
	select {
	case <-w.over:
	case <-timer.C:
	}
}

func (w *logWriter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *logWriter) run() {
	defer close(w.over)
	for range w.wake {
		lines, lost, ending := w.take()
		for _, line := range lines {
			_, _ = w.out.Write(line) // a log that is gone is no reason to end
		}
		if lost > 0 {
			w.log.Warn("nobody read the log for a while; lines are lost", "count", lost)
		}
		if ending {
			return
		}
	}
}

func (w *logWriter) take() (lines [][]byte, lost int, ending bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, lost, ending = w.lines, w.lost, w.ending
	w.lines, w.size, w.lost = nil, 0, 0
	return lines, lost, ending
}
