package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a journal's keeper until stop is called, at the latest at the end of the test.
func run(t *testing.T, j *Journal) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Keeper().Run(ctx) }()
	<-j.Keeper().Ready()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func numbered(n int) event.Event {
	return event.Event{Kind: event.InstanceState, Reason: fmt.Sprint(n)}
}

func at(second int64, n int) event.Event {
	e := numbered(n)
	e.Time = time.Unix(second, 0)
	return e
}

// reasons returns the reasons of events, separated by spaces.
func reasons(events []event.Event) string {
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = e.Reason
	}
	return strings.Join(all, " ")
}

func read(t *testing.T, dir string) string {
	t.Helper()
	events, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return reasons(events)
}

// Recorded events are available after a restart, before newer ones, even those recorded before the file was read.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		var logged []event.Event
		j := New(dir, func(e event.Event) { logged = append(logged, e) })
		stop := run(t, j)
		for n := range 3 {
			j.Record(numbered(n))
			time.Sleep(time.Second)
		}
		if got := reasons(j.Since(time.Now().Add(-2 * time.Second))); got != "1 2" {
			t.Errorf("the last two seconds: %q", got)
		}
		stop()
		if reasons(logged) != "0 1 2" || logged[0].Time.IsZero() {
			t.Errorf("logged: %+v", logged)
		}
		again := New(dir, nil)
		again.Record(numbered(3))
		if got := reasons(again.Since(time.Time{})); got != "3" {
			t.Errorf("before the file is read: %q", got)
		}
		stop = run(t, again)
		if got := reasons(again.Since(time.Time{})); got != "0 1 2 3" {
			t.Errorf("after a restart: %q", got)
		}
		stop()
		if got := read(t, dir); got != "0 1 2 3" || again.Keeper().Problem() != "" {
			t.Errorf("in the file: %q, %q", got, again.Keeper().Problem())
		}
	})
}

// Each subscriber gets all events since its subscription; one that does not read loses only its own events.
func TestSubscribers(t *testing.T) {
	j := New(t.TempDir(), nil)
	j.Record(numbered(0))
	past, idle := j.Follow(time.Time{})
	_, busy := j.Follow(time.Now().Add(time.Hour))
	if reasons(past) != "0" {
		t.Errorf("the past: %q", reasons(past))
	}
	seen := 0
	for n := range queued + 3 {
		j.Record(numbered(n))
		<-busy.Wake()
		events, lost := busy.Take()
		if seen += len(events); lost > 0 {
			t.Fatalf("the reading subscriber has lost %d", lost)
		}
	}
	<-idle.Wake()
	events, lost := idle.Take()
	if seen != queued+3 || len(events) != queued || lost != 3 || events[0].Reason != "0" {
		t.Errorf("the reading subscriber has %d, the other one %d from %q on, and lost %d", seen, len(events), events[0].Reason, lost)
	}
	if events, lost := idle.Take(); len(events)+lost > 0 {
		t.Errorf("twice: %d, %d", len(events), lost)
	}
	idle.Close()
	idle.Close()
	j.Record(numbered(9))
	if events, _ := idle.Take(); len(events) > 0 {
		t.Error("notified after Close")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	j := New(t.TempDir(), nil)
	for n := range 5_000 {
		j.Record(event.Event{Kind: event.RealServerState, Subject: "mysql/mysql1", From: "up", To: "down", Reason: fmt.Sprintf("down: mysql: dial 10.77.0.12:3306: connection refused (%d of 2)", n)})
	}
	events, size := j.Since(time.Time{}), 0
	for _, e := range events {
		size += weight(e)
	}
	if size > MemoryBytes || len(events) < 1_300 || !strings.Contains(events[len(events)-1].Reason, "(4999 of 2)") {
		t.Errorf("%d events of %d bytes, the last %v", len(events), size, events[len(events)-1])
	}
	j.Record(event.Event{Kind: event.RealServerState, Reason: strings.Repeat("x", 10*MemoryBytes)})
	if last := j.Since(time.Time{}); len(last) < 1_000 || len(last[len(last)-1].Reason) > event.MaxText {
		t.Errorf("one long event: %d are left", len(last))
	}
}

// There are never more than two files, and none exceeds the limit.
func TestFileIsBounded(t *testing.T) {
	dir := t.TempDir()
	f := fileIn(dir)
	for batch := range 10 {
		events := make([]event.Event, 1000)
		for n := range events {
			events[n] = event.Event{Time: time.Unix(int64(batch*1000+n), 0), Kind: event.TrackState, Reason: strings.Repeat("x", n%200)}
		}
		if n, err := f.append(events); n != 1000 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 2 {
			t.Fatalf("%v, %v", entries, err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Size() > FileBytes {
				t.Fatalf("%s: %d bytes, %v", e.Name(), info.Size(), err)
			}
		}
	}
	events, err := Read(dir)
	if err != nil || len(events) < 1000 || events[len(events)-1].Time.Unix() != 9_999 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i := range events[1:] {
		if events[i+1].Time.Unix() != events[i].Time.Unix()+1 {
			t.Fatalf("%d follows %d", events[i+1].Time.Unix(), events[i].Time.Unix())
		}
	}
	if err := os.Remove(Path(dir)); err != nil { // killed just after the renaming
		t.Fatal(err)
	}
	if events, err := Read(dir); err != nil || len(events) == 0 {
		t.Errorf("of the previous file alone: %d, %v", len(events), err)
	}
}

// Incomplete lines and garbage in the file are skipped; later events are not lost.
func TestTornAndGarbage(t *testing.T) {
	dir := t.TempDir()
	line, _ := event.Event{Time: time.Unix(1, 0), Kind: event.TrackState, Reason: "whole"}.Line()
	text := bytes.Join([][]byte{line, []byte("garbage\n"), bytes.Repeat([]byte{0}, 3*event.MaxLine), {'\n'}, line, line[:20]}, nil)
	if err := os.WriteFile(Path(dir), text, 0o640); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir); got != "whole whole" {
		t.Errorf("%q", got)
	}
	f := fileIn(dir)
	if _, err := f.append([]event.Event{at(2, 1), at(3, 2)}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir); got != "whole whole 1 2" {
		t.Errorf("after half a line: %q", got)
	}
}

// fullDisk accepts a given number of bytes.
type fullDisk struct {
	writer
	room *atomic.Int64
}

func (d fullDisk) Write(text []byte) (int, error) {
	n := min(len(text), int(d.room.Load()))
	d.room.Add(-int64(n))
	if n, err := d.writer.Write(text[:n]); err != nil || n < len(text) {
		return n, errors.Join(err, syscall.ENOSPC)
	}
	return n, nil
}

// A full disk is a problem until it has space; then the file has every event that was not lost, exactly once.
func TestFullDisk(t *testing.T) {
	for _, room := range []int{0, 1, 33, 65, 66, 67, 68, 69, 70, 71, 135, 136, 137} { // fills up within a line and around its end
		synctest.Test(t, func(t *testing.T) {
			j := New(t.TempDir(), nil)
			k := j.Keeper()
			var left atomic.Int64
			left.Store(int64(room))
			k.file.open = func(path string) (writer, error) {
				w, err := openForAppending(path)
				return fullDisk{w, &left}, err
			}
			stop := run(t, j)
			for n := range 5 {
				j.Record(numbered(n))
			}
			time.Sleep(3500 * time.Millisecond)
			if p := k.Problem(); !strings.Contains(p, "no space left on device") || !strings.HasPrefix(p, "events are not saved in /") {
				t.Errorf("%d bytes of room: %q", room, p)
			}
			left.Store(1 << 20)
			time.Sleep(time.Second)
			if p := k.Problem(); p != "" {
				t.Errorf("with room again: %q", p)
			}
			stop()
			if got := read(t, k.file.dir); got != "0 1 2 3 4" {
				t.Errorf("%d bytes of room: %q", room, got)
			}
		})
	}
}

// A hanging disk is a problem but blocks no caller and no loop; the file reports the number of lost events.
func TestHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New(t.TempDir(), nil)
		k, hang := j.Keeper(), make(chan struct{})
		k.file.open = func(path string) (writer, error) {
			<-hang
			return openForAppending(path)
		}
		var heartbeats heartbeat.Set
		heart := heartbeats.Start("the keeper")
		ctx, cancel := context.WithCancel(heartbeat.With(context.Background(), heart))
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		<-k.Ready()
		j.Record(numbered(0))
		synctest.Wait() // only the first write hangs
		for n := range queued + 7 {
			j.Record(numbered(n + 1))
		}
		monitor := heartbeat.NewMonitor(&heartbeats)
		for range 60 {
			time.Sleep(time.Second)
			for _, loop := range monitor.Look(time.Second) {
				if loop.For > 2*time.Second {
					t.Fatalf("%s has stalled for %s", loop.Name, loop.For)
				}
			}
		}
		if p := k.Problem(); !strings.HasSuffix(p, "the disk does not answer") {
			t.Errorf("problem: %q", p)
		}
		close(hang)
		time.Sleep(time.Second)
		if p := k.Problem(); p != "" {
			t.Errorf("afterwards: %q", p)
		}
		events, err := Read(k.file.dir)
		if last := events[len(events)-1]; err != nil || len(events) < 1000 || last.Kind != event.EventsLost || !strings.HasPrefix(last.Reason, "7 events are missing here") {
			t.Errorf("%d events, %v, the last %+v", len(events), err, last)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Stopping waits for a hanging disk for a second at most.
func TestEndWithAHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New(t.TempDir(), nil)
		hang := make(chan struct{})
		j.Keeper().file.open = func(string) (writer, error) {
			<-hang
			return nil, syscall.EIO
		}
		stop := run(t, j)
		j.Record(numbered(0))
		synctest.Wait()
		begun := time.Now()
		stop()
		if took := time.Since(begun); took != partWithin {
			t.Errorf("took %s", took)
		}
		close(hang)
	})
}

// An unusable file is a problem with a reason, and the recorded events are written when it is removed.
func TestUnusableFile(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			if err := make(Path(dir)); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(dir); err == nil {
				t.Errorf("%s can be read", name)
			}
			j := New(dir, nil)
			stop := run(t, j)
			j.Record(numbered(1))
			time.Sleep(time.Second)
			if p := j.Keeper().Problem(); !strings.Contains(p, Path(dir)) {
				t.Errorf("%s: %q", name, p)
			}
			if err := os.Remove(Path(dir)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			stop()
			if got := read(t, dir); got != "1" {
				t.Errorf("%s: %q", name, got)
			}
		})
	}
}

// No content of the file causes a panic, exceeds the memory limit or prevents later events from being read.
func FuzzScan(f *testing.F) {
	line, _ := event.Event{Time: time.Unix(1, 0), Kind: event.TrackState, Reason: "whole"}.Line()
	f.Add(line)
	f.Add(append(line, line[:20]...))
	f.Add([]byte("\n\n\x00\xff{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after ring
		if err := scan(&before, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if err := scan(&after, bytes.NewReader(slices.Concat(data, []byte{'\n'}, line))); err != nil {
			t.Fatal(err)
		}
		if after.size > MemoryBytes || len(after.events) != len(before.events)+1 || after.events[len(before.events)].Reason != "whole" {
			t.Fatalf("%d events, then %d", len(before.events), len(after.events))
		}
	})
}
