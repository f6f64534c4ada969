package daemon

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/logtest"
)

// stuck is a log that blocks until it is released.
type stuck struct {
	logtest.Buffer
	free chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.Buffer.Write(p)
}

func writerTo(out io.Writer) *logWriter {
	return newLogWriter(out, slog.New(slog.NewTextHandler(out, nil)))
}

func TestLogThatNobodyReadsStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{free: make(chan struct{})}
		w := writerTo(out)
		log := slog.New(slog.NewTextHandler(w, nil))
		begun := time.Now()
		const all = 10_000
		for i := range all {
			log.Info("line", "number", i)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("logging waited for %s", took)
		}
		close(out.free)
		w.close()
		kept, lost := strings.Count(out.String(), "msg=line"), 0
		for line := range strings.Lines(out.String()) {
			if _, number, found := strings.Cut(line, "lines were lost because the log was not read in time\" count="); found {
				var n int
				if _, err := fmt.Sscan(number, &n); err != nil {
					t.Fatal(err)
				}
				lost += n
			}
		}
		if kept < logQueue || kept+lost != all {
			t.Errorf("%d lines kept and %d reported lost, want %d in total and at least %d kept", kept, lost, all, logQueue)
		}
		if !strings.Contains(out.String(), "number=0\n") {
			t.Error("the first line, which shows how it began, was dropped")
		}
	})
}

func TestEndDoesNotWaitForAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{free: make(chan struct{})}
		w := writerTo(out)
		_, _ = io.WriteString(w, "last words\n")
		begun := time.Now()
		w.close()
		if took := time.Since(begun); took != logParting {
			t.Errorf("close waited for %s, want %s", took, logParting)
		}
		close(out.free)
	})
}

func TestEndWritesEverything(t *testing.T) {
	var out bytes.Buffer
	w := writerTo(&out)
	for i := range 100 {
		_, _ = fmt.Fprintf(w, "%d\n", i)
	}
	w.close()
	if n := strings.Count(out.String(), "\n"); n != 100 {
		t.Errorf("%d lines of 100", n)
	}
}

// A huge line does not exceed the limit.
func TestLogIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{free: make(chan struct{})}
		w := writerTo(out)
		line := bytes.Repeat([]byte("x"), 100_000)
		for range 100 {
			_, _ = w.Write(line)
		}
		synctest.Wait()
		w.mu.Lock()
		size := w.size
		w.mu.Unlock()
		if size > logBytes {
			t.Errorf("%d bytes queued, want at most %d", size, logBytes)
		}
		close(out.free)
		w.close()
	})
}
