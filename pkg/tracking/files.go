package tracking

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

const (
	// lookEvery is how often everything is looked at without an event, because some changes have none.
	lookEvery = time.Second
	// readWithin is how long a read may take until the verdict says that it does not return.
	readWithin = 3 * time.Second
	// fileMax is the greatest number in a file.
	fileMax = 254
	// fileSize is how much of a file is read, in bytes.
	fileSize = 256
)

// FileKernel is the access to files.
type FileKernel interface {
	// ReadFile returns the first bytes of a file, limit at most. It may block for ever.
	ReadFile(path string, limit int) ([]byte, error)
	// WatchFiles returns a watcher of directories that calls changed for each entry that changes, and with "" when any may
	// have.
	WatchFiles(changed func(path string)) (FileWatcher, error)
}

// FileWatcher watches directories.
type FileWatcher interface {
	// Watch watches a directory, which may be watched already. It may block for ever.
	Watch(dir string) error
	Close() error
}

// Files watches the numbers in files. Make one with NewFiles.
type Files struct {
	*board
	kernel FileKernel
	log    *slog.Logger

	// Owned by Run.
	reading map[config.WatchedFile]*reading
	results chan content
}

// reading is the read of a file that has not returned.
type reading struct {
	begun time.Time
	again bool // the file has changed since
}

// content is the result of a read.
type content struct {
	of   config.WatchedFile
	text []byte
	err  error
}

// NewFiles returns a Files.
func NewFiles(kernel FileKernel, log *slog.Logger, changed Changed) *Files {
	return &Files{board: newBoard(changed), kernel: kernel, log: log, reading: map[config.WatchedFile]*reading{}, results: make(chan content)}
}

// Set replaces the tracks; only those of files count. It returns at once.
func (f *Files) Set(all []plan.Watch) { f.put(only[config.WatchedFile](all)) }

// Name implements task.Task.
func (f *Files) Name() string { return "the watcher of tracked files" }

// Run watches until ctx ends. It returns nil, without waiting for reads that do not return.
func (f *Files) Run(ctx context.Context) error {
	events := make(chan string, 64)
	watcher, err := f.kernel.WatchFiles(func(path string) {
		select {
		case events <- path:
		case <-ctx.Done():
		}
	})
	if err != nil {
		f.log.Warn("changes of tracked files are noticed within a second only", "error", err)
		watcher = noWatcher{}
	}
	defer watcher.Close()
	heart := heartbeat.From(ctx)
	tick := heartbeat.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		heart.Beat()
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
			f.read(ctx, watcher, "")
		case path := <-events:
			f.read(ctx, watcher, path)
		case <-tick.C:
			f.read(ctx, watcher, "")
		case c := <-f.results:
			f.take(ctx, watcher, c)
		}
	}
}

// noWatcher is a FileWatcher without events.
type noWatcher struct{}

func (noWatcher) Watch(string) error { return nil }
func (noWatcher) Close() error       { return nil }

// read starts to read the files with a path, all for "".
func (f *Files) read(ctx context.Context, watcher FileWatcher, path string) {
	now := time.Now()
	for _, watch := range f.wanted() {
		w, is := watch.(config.WatchedFile)
		if !is || path != "" && path != w.Path && path != filepath.Dir(w.Path) {
			continue
		}
		if r := f.reading[w]; r != nil {
			r.again = r.again || path != ""
			if late := now.Sub(r.begun); late >= readWithin {
				f.publish(w, kept(f.verdict(w), health.Unreadable, fmt.Sprintf("reading %s has not returned for %s (put it on a local file system)", w.Path, late.Round(time.Second))), now)
			}
			continue
		}
		f.reading[w] = &reading{begun: now}
		go func() {
			_ = watcher.Watch(filepath.Dir(w.Path)) // without it, the next look sees the change
			text, err := f.kernel.ReadFile(w.Path, fileSize)
			select {
			case f.results <- content{w, text, err}:
			case <-ctx.Done():
			}
		}()
	}
}

// take publishes what a read has found.
func (f *Files) take(ctx context.Context, watcher FileWatcher, c content) {
	again := f.reading[c.of] != nil && f.reading[c.of].again
	delete(f.reading, c.of)
	f.publish(c.of, number(f.verdict(c.of), c), time.Now())
	if again {
		f.read(ctx, watcher, c.of.Path)
	}
}

// number returns the verdict of the number in a file. One that is missing or empty has a 0; with other content, what was
// known is kept.
func number(before health.Verdict, c content) health.Verdict {
	path := c.of.Path
	switch {
	case errors.Is(c.err, fs.ErrNotExist):
		return judged(true, true, path+" does not exist, which counts as 0")
	case c.err != nil:
		return kept(before, health.Unreadable, fmt.Sprintf("%v (let the daemon read it)", c.err))
	}
	text := strings.TrimSpace(string(c.text))
	if text == "" {
		return judged(true, true, path+" is empty, which counts as 0")
	}
	n, err := strconv.Atoi(text)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // otherwise n is the limit
		return kept(before, health.Unreadable, fmt.Sprintf("%s has %s and no number: write one from -%d to %d", path, quoted(text), fileMax, fileMax))
	}
	clamped := min(max(n, -fileMax), fileMax)
	reason := fmt.Sprintf("%s has %d", path, clamped)
	if clamped != n {
		reason = fmt.Sprintf("%s has more than %d, which counts as that", path, fileMax)
		if n < 0 {
			reason = fmt.Sprintf("%s has less than -%d, which counts as that", path, fileMax)
		}
	}
	v := judged(clamped == 0, clamped == 0, reason)
	v.Value = int16(clamped)
	return v
}

// quoted quotes a text of a file, of which it shows the beginning only.
func quoted(text string) string {
	const shown = 20
	if len(text) > shown {
		text = text[:shown] + "…"
	}
	return strconv.QuoteToGraphic(text)
}
