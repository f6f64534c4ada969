package tracking

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// DirectoryKernel is the access to directories.
type DirectoryKernel interface {
	// ReadDirectory returns the files in a directory, limit at most. It may block for ever.
	ReadDirectory(path string, limit int) ([]DirectoryFile, error)
	WatchFiles(changed func(path string)) (FileWatcher, error)
}

// DirectoryFile is one file in a directory.
type DirectoryFile struct {
	Name     string
	Modified time.Time
}

// mostFiles is how many files of a directory count.
const mostFiles = 10000

// Listing is what a directory has.
type Listing struct {
	Path  string // "": none is watched
	Files []DirectoryFile
	// Problem is why the files are not those that are there now, but those that were seen last; "" if they are.
	Problem string
}

// Directory watches the names of the files in one directory. Make one with NewDirectory.
type Directory struct {
	kernel  DirectoryKernel
	log     *slog.Logger
	changed func()
	ready   task.Latch
	wake    chan struct{}

	mu   sync.Mutex // guards the fields below
	path string
	last Listing
	read task.Latch // a read has ended since the start

	// Owned by Run.
	watcher FileWatcher // nil before the first directory
	reading string      // the path that is read; "": none
	begun   time.Time
	again   bool
	results chan listed
}

// listed is the result of a read.
type listed struct {
	path  string
	files []DirectoryFile
	err   error
}

// NewDirectory returns a Directory. It calls changed when its listing has changed.
func NewDirectory(kernel DirectoryKernel, log *slog.Logger, changed func()) *Directory {
	return &Directory{kernel: kernel, log: log, changed: changed, wake: make(chan struct{}, 1), results: make(chan listed)}
}

// Set names the directory, "" for none. What was seen in another one holds until this one was read. It returns at once.
func (d *Directory) Set(path string) {
	d.mu.Lock()
	same := d.path == path
	if d.path = path; path == "" {
		d.last = Listing{}
	}
	d.mu.Unlock()
	if same {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Listing returns what was seen last.
func (d *Directory) Listing() Listing {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// Read is closed when a directory has been read once, or could not be.
func (d *Directory) Read() <-chan struct{} { return d.read.Ready() }

// Name implements task.Task.
func (d *Directory) Name() string { return "the watcher of maintenance_dir" }

// Ready is closed when the loop is running.
func (d *Directory) Ready() <-chan struct{} { return d.ready.Ready() }

// Run watches until ctx ends. It returns nil, without waiting for a read that does not return.
func (d *Directory) Run(ctx context.Context) error {
	events := make(chan struct{}, 1)
	defer func() {
		if d.watcher != nil {
			_ = d.watcher.Close()
		}
	}()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	tick := heartbeat.NewTicker(lookEvery)
	defer tick.Stop()
	d.ready.Close()
	for {
		heart.Beat()
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-events:
			d.again = true
		case <-tick.C:
		case l := <-d.results:
			d.take(l)
			if !d.again {
				continue
			}
		}
		d.start(ctx, events)
	}
}

// watch opens the watcher with the first directory.
func (d *Directory) watch(events chan<- struct{}) {
	if d.watcher != nil {
		return
	}
	watcher, err := d.kernel.WatchFiles(func(string) {
		select {
		case events <- struct{}{}:
		default:
		}
	})
	if err != nil {
		d.log.Warn("changes in maintenance_dir are noticed within a second only", "error", err)
		watcher = noWatcher{}
	}
	d.watcher = watcher
}

// start reads the directory unless a read of it has not returned.
func (d *Directory) start(ctx context.Context, events chan<- struct{}) {
	d.mu.Lock()
	path := d.path
	d.mu.Unlock()
	switch {
	case path == "":
		return
	case d.reading == path:
		if late := time.Since(d.begun); late >= readWithin {
			d.publish(path, func(l *Listing) {
				l.Problem = fmt.Sprintf("reading %s has not returned for %s (put it on a local file system)", path, late.Round(time.Second))
			})
		}
		return
	}
	d.watch(events)
	d.reading, d.begun, d.again = path, time.Now(), false
	watcher := d.watcher
	go func() {
		_ = watcher.Watch(path) // without it, the next look sees the change
		files, err := d.kernel.ReadDirectory(path, mostFiles)
		select {
		case d.results <- listed{path, files, err}:
		case <-ctx.Done():
		}
	}()
}

// take takes in the result of a read.
func (d *Directory) take(l listed) {
	if d.reading == l.path {
		d.reading = ""
	}
	current := d.publish(l.path, func(last *Listing) {
		switch {
		case errors.Is(l.err, fs.ErrNotExist):
			last.Problem = fmt.Sprintf("%s does not exist (mkdir %s)", l.path, l.path)
		case l.err != nil:
			last.Problem = fmt.Sprintf("%v (let the daemon read it)", l.err)
		default:
			files := slices.DeleteFunc(l.files, func(f DirectoryFile) bool { return strings.HasPrefix(f.Name, ".") }) // of editors
			slices.SortFunc(files, func(a, b DirectoryFile) int { return strings.Compare(a.Name, b.Name) })
			*last = Listing{Path: l.path, Files: files}
			if len(l.files) >= mostFiles {
				last.Problem = fmt.Sprintf("%s has more than %d files: those beyond are ignored", l.path, mostFiles-1)
			}
		}
	})
	if current {
		d.read.Close()
	}
}

// publish changes the listing if path is still the directory that is wanted, and reports whether it is.
func (d *Directory) publish(path string, change func(*Listing)) bool {
	d.mu.Lock()
	before, current := d.last, d.path == path
	if current {
		change(&d.last)
	}
	now := d.last
	d.mu.Unlock()
	if before.Path != now.Path || before.Problem != now.Problem || !slices.Equal(before.Files, now.Files) {
		d.changed()
	}
	return current
}
