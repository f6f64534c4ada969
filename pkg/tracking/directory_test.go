package tracking

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// directories is a DirectoryKernel.
type directories struct {
	mu      sync.Mutex
	names   map[string][]string // by path
	fail    error
	hang    chan struct{} // reads block until it is closed
	changed func(string)
}

func (d *directories) ReadDirectory(path string, limit int) (files []DirectoryFile, err error) {
	d.mu.Lock()
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	names, there := d.names[path]
	if d.fail != nil {
		return nil, d.fail
	}
	if !there {
		return nil, fs.ErrNotExist
	}
	for _, name := range names[:min(len(names), limit)] {
		files = append(files, DirectoryFile{Name: name})
	}
	return files, nil
}

func (d *directories) WatchFiles(changed func(string)) (FileWatcher, error) {
	d.changed = changed
	return noWatcher{}, nil
}

func (d *directories) set(path string, names ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[path] = names
}

func (d *directories) failing(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

// TestDirectory: the names are followed by events and without them; what cannot be read, does not return or is another
// directory leaves those that were seen last.
func TestDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &directories{names: map[string][]string{"/m": {"b", "a", ".swp"}}}
		changes := 0
		d := NewDirectory(k, slog.New(slog.DiscardHandler), func() { changes++ })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		expect := func(when, names, problem string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, f := range d.Listing().Files {
				got = append(got, f.Name)
			}
			if text := strings.Join(got, " "); text != names || !strings.Contains(d.Listing().Problem, problem) || (problem == "") != (d.Listing().Problem == "") {
				t.Errorf("%s: %q, %q; want %q, %q", when, text, d.Listing().Problem, names, problem)
			}
		}
		pass := func(d time.Duration) {
			time.Sleep(d + 10*time.Millisecond)
			synctest.Wait()
		}
		expect("without a path", "", "")
		d.Set("/m")
		expect("at once", "a b", "")
		<-d.Read()
		k.set("/m", "a")
		k.changed("/m/b")
		expect("an event", "a", "")
		k.set("/m", "a", "c")
		expect("before the next look", "a", "")
		pass(lookEvery)
		expect("after it", "a c", "")
		before := changes
		pass(5 * lookEvery)
		if changes != before {
			t.Errorf("%d changes of the same", changes-before)
		}
		d.Set("/other")
		expect("another one, which is missing", "a c", "/other does not exist (mkdir /other)")
		k.set("/other", slices.Repeat([]string{"x"}, mostFiles)...)
		pass(lookEvery)
		if n := len(d.Listing().Files); n != mostFiles || !strings.Contains(d.Listing().Problem, "more than") {
			t.Errorf("%d files: %s", n, d.Listing().Problem)
		}
		k.set("/other", "x")
		pass(lookEvery)
		expect("few again", "x", "")
		k.failing(errors.New("permission denied"))
		pass(lookEvery)
		expect("unreadable", "x", "permission denied (let the daemon read it)")
		k.failing(nil)
		hang := make(chan struct{})
		k.mu.Lock()
		k.hang = hang
		k.mu.Unlock()
		pass(readWithin + 2*lookEvery)
		expect("a disk that hangs", "x", "has not returned for")
		close(hang)
		k.mu.Lock()
		k.hang = nil
		k.mu.Unlock()
		pass(lookEvery)
		expect("it answers", "x", "")
		d.Set("")
		expect("none", "", "")
	})
}

// TestLateListing: what is known about a directory that is not watched any more does not replace the listing.
func TestLateListing(t *testing.T) {
	changes := 0
	d := NewDirectory(&directories{}, slog.New(slog.DiscardHandler), func() { changes++ })
	d.Set("/m")
	d.take(listed{path: "/m", files: []DirectoryFile{{Name: "a"}}})
	d.Set("")
	d.take(listed{path: "/m", files: []DirectoryFile{{Name: "a"}}})
	d.publish("/m", func(l *Listing) { l.Problem = "late" })
	if l := d.Listing(); l.Path != "" || len(l.Files) != 0 || l.Problem != "" || changes != 1 {
		t.Errorf("%+v after %d changes", l, changes)
	}
}
