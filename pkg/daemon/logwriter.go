package daemon

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logQueue limits the number of queued lines, and logBytes their total size.
	logQueue = 4096
	logBytes = 1 << 20
	// logParting is how long a stopping daemon waits for the queue to be written.
	logParting = time.Second
)

// logWriter prevents a blocked log (a full pipe, a stalled journald) from blocking the daemon: writing never waits.
// When the queue is full, lines are dropped, and a later line reports how many.
type logWriter struct {
	out  io.Writer
	log  *slog.Logger  // writes directly to out
	wake chan struct{} // capacity 1
	over chan struct{} // closed when everything has been written after close

	mu     sync.Mutex // guards the fields below
	lines  [][]byte
	size   int
	lost   int
	ending bool
}

// newLogWriter starts the writer goroutine; close stops it. log writes directly to out.
func newLogWriter(out io.Writer, log *slog.Logger) *logWriter {
	w := &logWriter{out: out, log: log, wake: make(chan struct{}, 1), over: make(chan struct{})}
	go w.run()
	return w
}

// Write queues one line. It never fails.
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

// close writes the queued lines, for at most logParting.
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
			_, _ = w.out.Write(line) // a failed log must not stop the daemon
		}
		if lost > 0 {
			w.log.Warn("log lines were lost because the log was not read in time", "count", lost)
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
