package takeover

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/replication"
)

// database is a database that answers after a time, or not at all.
type database struct {
	mu     sync.Mutex
	offset uint64
	takes  time.Duration
	err    error
	unread []string
	asked  int
}

func (d *database) set(change func(d *database)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *database) ask(ctx context.Context, _ Server) (replication.Positions, error) {
	d.mu.Lock()
	p := replication.Positions{BinaryLog: &replication.LogPosition{File: "b", Offset: d.offset}, Unread: d.unread}
	takes, err := d.takes, d.err
	d.asked++
	d.mu.Unlock()
	select {
	case <-ctx.Done():
		return replication.Positions{}, errors.New("no answer")
	case <-time.After(takes):
		return p, err
	}
}

var local = Server{Address: netip.MustParseAddrPort("127.0.0.1:3306"), User: "lvs", Interval: time.Second, Timeout: 500 * time.Millisecond}

// world is a recorder of one instance that runs.
type world struct {
	*Recorder
	database database
	written  chan Record
	changes  int
	disk     func() error
}

func run(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{written: make(chan Record, 100), disk: func() error { return nil }}
		w.Recorder = New(Options{
			Node: "a", Ask: w.database.ask, Write: func(Record) error { return w.disk() },
			Written: func(r Record, err error) {
				if err != nil {
					r.Error = "disk: " + err.Error()
				}
				w.written <- r
			},
			Changed: func() { w.changes++ },
		})
		w.Set(map[config.InstanceID]Wanted{"i": {Name: "mysql", Server: local}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		f(w)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) record(t *testing.T) Record {
	t.Helper()
	select {
	case r := <-w.written:
		return r
	case <-time.After(time.Minute):
		t.Fatal("nothing was recorded")
		return Record{}
	}
}

func TestFreshPositions(t *testing.T) {
	run(t, func(w *world) {
		w.database.set(func(d *database) { d.offset, d.takes = 7, 100*time.Millisecond })
		at := time.Now()
		w.TookOver(TakeOver{Instance: "i", Reason: "why", At: at})
		w.TookOver(TakeOver{Instance: "other", At: at})
		got := w.record(t)
		want := Record{
			Time: at, Node: "a", Instance: "mysql", Reason: "why", Server: "127.0.0.1:3306", Read: Fresh, ReadAt: at,
			Positions: &replication.Positions{BinaryLog: &replication.LogPosition{File: "b", Offset: 7}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if last, there := w.Last("i"); !there || last.Read != Fresh {
			t.Errorf("%+v", last)
		}
		synctest.Wait()
		if len(w.written) != 0 {
			t.Error("an instance without records has one")
		}
	})
}

// TestHeldPositions: the database stops answering before the take-over. The record comes after 200 ms and has the last
// positions and their age.
func TestHeldPositions(t *testing.T) {
	run(t, func(w *world) {
		w.database.set(func(d *database) { d.offset = 5 })
		asked := time.Now().Add(local.Interval) // the first question may have come before
		time.Sleep(1500 * time.Millisecond)
		w.database.set(func(d *database) { d.offset, d.takes = 9, time.Hour })
		time.Sleep(400 * time.Millisecond)
		at := time.Now()
		w.TookOver(TakeOver{Instance: "i", At: at})
		got := w.record(t)
		if took := time.Since(at); took != askWithin {
			t.Errorf("the record took %v", took)
		}
		if got.Read != Held || got.Positions.BinaryLog.Offset != 5 || !got.ReadAt.Equal(asked) || got.Error != "no answer" {
			t.Errorf("%+v", got)
		}
		if want := "127.0.0.1:3306, asked 900ms before the take-over: binary log b:5 (it does not answer now: no answer)"; got.Summary() != want {
			t.Errorf("%q", got.Summary())
		}
	})
}

func TestNoPositions(t *testing.T) {
	run(t, func(w *world) {
		w.database.set(func(d *database) { d.err = errors.New("connection refused") })
		synctest.Wait()
		w.TookOver(TakeOver{Instance: "i", At: time.Now()})
		if got := w.record(t); got.Read != None || got.Positions != nil || got.Error != "connection refused" {
			t.Errorf("%+v", got)
		}
	})
}

// TestFailures: a database that does not answer, or not to everything, is known before a take-over needs it.
func TestFailures(t *testing.T) {
	run(t, func(w *world) {
		texts := func() string {
			synctest.Wait()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			text := ""
			for _, f := range w.Failures() {
				text += f.Name + ": " + f.Text
			}
			return text
		}
		if got := texts(); got != "" {
			t.Error(got)
		}
		w.database.set(func(d *database) { d.unread = []string{"replication: may not"} })
		if got := texts(); got != "mysql: replication: may not" {
			t.Error(got)
		}
		w.database.set(func(d *database) { d.err = errors.New("refused") })
		if got := texts(); got != "mysql: refused" {
			t.Error(got)
		}
		w.database.set(func(d *database) { d.err, d.unread = nil, nil })
		if got := texts(); got != "" {
			t.Error(got)
		}
		if w.changes != 3 {
			t.Errorf("%d changes were reported", w.changes)
		}
		w.database.set(func(d *database) { d.err = errors.New("refused") })
		texts()
		w.Set(nil)
		asked := w.database.asked
		if got := texts(); got != "" || w.database.asked != asked {
			t.Errorf("a database that is no longer wanted is asked, or a failure: %q", got)
		}
	})
}

// TestHangingDatabase: a database that hangs is asked one question at a time.
func TestHangingDatabase(t *testing.T) {
	run(t, func(w *world) {
		w.database.set(func(d *database) { d.takes = time.Hour })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if w.database.asked > 11 {
			t.Errorf("%d questions", w.database.asked)
		}
	})
}

// TestLastRecords: what waits for the disk at the end is written; a disk that hangs delays the end by a second at most.
func TestLastRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written, release := make(chan Record, 10), make(chan struct{})
		r := New(Options{
			Ask:     func(context.Context, Server) (replication.Positions, error) { return replication.Positions{}, nil },
			Write:   func(Record) error { <-release; return nil },
			Written: func(one Record, _ error) { written <- one }, Changed: func() {},
		})
		r.Set(map[config.InstanceID]Wanted{"i": {Name: "mysql", Server: local}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		for range 3 {
			r.TookOver(TakeOver{Instance: "i", At: time.Now()})
		}
		synctest.Wait()
		stopped := time.Now()
		stop()
		<-done
		if took := time.Since(stopped); took != writtenWithin {
			t.Errorf("the end took %v", took)
		}
		close(release)
		synctest.Wait()
		if len(written) != 3 {
			t.Errorf("%d of 3 records were written", len(written))
		}
	})
}

// TestHangingDisk: records that wait for a disk are bounded, and each is reported.
func TestHangingDisk(t *testing.T) {
	run(t, func(w *world) {
		release := make(chan struct{})
		w.disk = func() error { <-release; return nil }
		w.TookOver(TakeOver{Instance: "i", At: time.Now()})
		synctest.Wait() // it is being written
		for range queued + 4 {
			w.TookOver(TakeOver{Instance: "i", At: time.Now()})
		}
		synctest.Wait()
		lost := len(w.written)
		close(release)
		synctest.Wait()
		if lost != 4 || len(w.written) != queued+5 {
			t.Errorf("%d were lost and %d reported", lost, len(w.written))
		}
	})
}
