package inotify

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChanges: a file that is written, replaced or deleted is told, also in a directory that was replaced.
func TestChanges(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	path := filepath.Join(dir, "file")
	told := make(chan string, 1000)
	w, err := Open(func(path string) { told <- path })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	await := func(what, want string) {
		t.Helper()
		for limit := time.After(time.Minute); ; {
			select {
			case got := <-told:
				if got == want {
					return
				}
			case <-limit:
				t.Fatalf("%s: nothing is told", what)
			}
		}
	}
	if err := w.Watch(dir); err == nil {
		t.Error("a directory that is not there is watched")
	}
	for range 2 {
		must(os.Mkdir(dir, 0o755))
		must(w.Watch(dir))
		must(w.Watch(dir))
		must(os.WriteFile(path, []byte("1"), 0o644))
		await("written", path)
		must(os.WriteFile(path+".new", []byte("2"), 0o644))
		must(os.Rename(path+".new", path))
		await("replaced", path)
		must(os.Remove(path))
		await("deleted", path)
		must(os.Remove(dir))
		await("its directory is gone", dir)
	}
	must(os.Mkdir(dir, 0o755))
	must(w.Watch(dir))
	must(os.Rename(dir, dir+".old"))
	await("its directory is moved", dir)
	must(os.Mkdir(dir, 0o755))
	must(w.Watch(dir))
	must(os.WriteFile(path, nil, 0o644))
	await("in the new directory", path)
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Add(append(make([]byte, 12), 4, 0, 0, 0, 'a', 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		for ok := true; ok && len(b) > 0; {
			var rest []byte
			if _, rest, ok = parse(b); ok && len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			b = rest
		}
	})
}
