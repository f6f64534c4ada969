package clusterfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestLastGood(t *testing.T) {
	dir := t.TempDir()
	l := LastGoodIn(dir)
	if _, _, err := l.Read(); !Absent(err) || !Refused(err) {
		t.Fatalf("before the first save: %v", err)
	}
	unfinished := filepath.Join(dir, ".cluster.last-good.yaml1234")
	if err := os.WriteFile(unfinished, []byte("vers"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Save([]byte(good)); err != nil {
		t.Fatal(err)
	}
	data, when, err := l.Read()
	if err != nil || string(data) != good || time.Since(when) > time.Minute {
		t.Errorf("%s, %s, %v", data, when, err)
	}
	if f, err := Validate(l.Path(), data); err != nil || f.Config.File != l.Path() || string(f.Data) != good {
		t.Errorf("%+v, %v", f, err)
	}
	info, err := os.Stat(l.Path())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("%v, %v: the directory has other files", all, err)
	}
}

// An unchanged copy is not written again, to avoid disk writes at each reload.
func TestLastGoodIsWrittenOnlyWhenItDiffers(t *testing.T) {
	l := LastGoodIn(t.TempDir())
	stat := func() *syscall.Stat_t {
		t.Helper()
		var s syscall.Stat_t
		if err := syscall.Stat(l.Path(), &s); err != nil {
			t.Fatal(err)
		}
		return &s
	}
	save := func(text string) uint64 {
		t.Helper()
		if err := l.Save([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return stat().Ino
	}
	first := save(good)
	if again := save(good); again != first {
		t.Error("the same bytes were written again")
	}
	if other := save(good + "# changed\n"); other == first {
		t.Error("different bytes were not written")
	}
}

func TestLastGoodThatCannotBeUsed(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "damaged": good[:len(good)/2], "of another version": strings.Replace(good, "1", "9", 1)} {
		l := LastGoodIn(t.TempDir())
		if err := l.Save([]byte(text)); err != nil {
			t.Fatal(err)
		}
		data, _, err := l.Read()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f, err := Validate(l.Path(), data)
		if f.Config != nil || err == nil || Absent(err) || !strings.Contains(err.Error(), l.Path()) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestLastGoodWithoutAPlace(t *testing.T) {
	dir := t.TempDir()
	l := LastGoodIn(filepath.Join(dir, "absent"))
	if err := l.Save([]byte(good)); err == nil || !strings.Contains(err.Error(), l.Path()) {
		t.Errorf("no directory: %v", err)
	}
	l = LastGoodIn(dir)
	if err := os.Mkdir(l.Path(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Save([]byte(good)); err == nil {
		t.Error("a directory in its place was replaced")
	}
	if _, _, err := l.Read(); err == nil || Absent(err) {
		t.Errorf("a directory in its place: %v", err)
	}
}

// A read that never returns, as of a network file system whose server is down, does not block the caller.
func TestReadHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, server := time.Now(), make(chan struct{})
		_, err := within(readWithin, "cluster.yaml", func() ([]byte, error) { <-server; return nil, nil })
		if err == nil || err.Error() != "cluster.yaml: not read within 10s: does its file system answer?" || time.Since(begun) != readWithin {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		close(server)
	})
}
