package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrift: what is reported about a file on disk that is not the one that runs, and since when.
func TestDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := write(t, clusterFile)
		l, err := live(t, file, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer l.stop()
		expect := func(when, want string) {
			t.Helper()
			time.Sleep(2 * driftInterval)
			synctest.Wait()
			if got := l.said(); want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		expect("at rest", "")
		now := time.Now()
		if err := os.Chtimes(file, now, now); err != nil { // touch(1)
			t.Fatal(err)
		}
		expect("the same content", "")
		put(t, file, otherFile)
		old := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(file, old, old); err != nil { // cp -p
			t.Fatal(err)
		}
		info, err := stampOf(file)
		if err != nil {
			t.Fatal(err)
		}
		expect("edited", "is not the one that runs since "+info.changed.Format("2006-01-02 15:04:05")+", when it was changed: lvsctl reload applies it")
		put(t, file, "version: 2\n")
		expect("broken", ", and cannot be used: "+file+":1:10: version: ")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		gone := time.Now().Add(driftInterval).Format("2006-01-02 15:04:05")
		expect("gone", "the cluster file cannot be read since "+gone)
		expect("still gone", "the cluster file cannot be read since "+gone)
		if err := os.Symlink(filepath.Base(write(t, otherFile)), file); err != nil {
			t.Fatal(err)
		}
		expect("a link that leads nowhere", "the cluster file cannot be read since "+gone)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		put(t, file, clusterFile)
		expect("restored", "")
		if n := strings.Count(l.stderr.String(), "is the one that runs again"); n != 1 {
			t.Errorf("its end was logged %d times:\n%s", n, l.stderr.String())
		}
	})
}

// TestDriftBeforeAReload: a change that is followed by a reload is no problem if that comes within an interval.
func TestDriftBeforeAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := live(t, write(t, clusterFile), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer l.stop()
		for _, text := range []string{otherFile, clusterFile, otherFile} {
			put(t, l.path, text)
			time.Sleep(driftInterval - time.Millisecond)
			synctest.Wait()
			if err := l.reload(t.Context(), l.service, false, "root"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * driftInterval)
			synctest.Wait()
			if strings.Contains(l.stderr.String(), "not the one that runs") || l.said() != "" {
				t.Errorf("%s\n%s", l.said(), l.stderr.String())
			}
		}
	})
}
