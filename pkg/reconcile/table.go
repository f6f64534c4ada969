package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// TableKernel is the IPVS table. The deadline comes by ctx.
type TableKernel interface {
	Read(ctx context.Context) ([]lvs.Service, error)
	// Apply carries out ops in order and returns those that were done, also beside an error: a step that is refused keeps
	// no other back.
	Apply(ctx context.Context, ops []lvs.Op) (done []lvs.Op, err error)
}

// TableOptions are what a Table needs; all are required.
type TableOptions struct {
	Kernel TableKernel
	// Audit is a cheap look at the table, to notice foreign hands between changes of our own.
	Audit func() ([]lvs.Service, error)
	// Ours says which virtual servers an earlier run recorded, or this one: they may be deleted.
	Ours func(lvs.Key) bool
	// Record writes down, before the kernel is changed, which virtual servers will be ours; Forget, afterwards, which
	// are not any more: one that somebody makes there later is his.
	Record func(want []lvs.Service)
	Forget func(gone []lvs.Key)
	// Fatal picks the errors that no retry mends; Run returns them while the first pass has not succeeded.
	Fatal func(error) bool
	Log   *slog.Logger
}

// Target is what a table should be.
type Target interface {
	// Desired are the virtual servers, given what stood in the table when the daemon started.
	Desired(found []lvs.Service) []lvs.Service
}

// TableSnapshot is what the table loop has reached.
type TableSnapshot struct {
	// Known says that the table could be read when the loop did so last.
	Known bool
	// Serving are the virtual servers that stand and have a real server.
	Serving map[lvs.Key]bool
	// Problem says why the table is not as it should be; "" when it is.
	Problem string
}

// Table is the table loop.
type Table struct {
	TableOptions
	target  atomic.Pointer[Target]
	dirty   chan struct{}
	synced  task.Latch
	reached task.Published[TableSnapshot]

	// Owned by Run:
	looked  bool            // the table was read once
	found   []lvs.Service   // what stood there at the start and still does
	have    []lvs.Service   // what we believe is there; nil: read it
	audited time.Time       // when it was last looked at for foreign hands
	read    time.Time       // when it was last read whole
	logged  map[string]bool // errors since the table was as it should be
	fails   int
}

const (
	// settle gathers verdicts that come together into one pass.
	settle = 5 * time.Millisecond
	// auditEvery is how long a change by a foreign hand may stand, auditPer what each entry adds to it, and auditMost the
	// most, so that a large table does not take the CPU from the election.
	auditEvery = 500 * time.Millisecond
	auditPer   = 250 * time.Microsecond
	auditMost  = 1500 * time.Millisecond
	// readLeast is the distance of the whole readings of an audit, which alone see flags and thresholds; readPer more for
	// each entry, which costs some 10 us, and readMost for the largest table.
	readLeast = time.Second
	readPer   = 2 * time.Millisecond
	readMost  = 30 * time.Second
	// settleFailing is settle while the kernel refuses something: what it does not refuse is not held up for long, and
	// verdicts that come all the time do not become a loop that asks in vain.
	settleFailing = 250 * time.Millisecond
	// reported is how many changes of one pass are written out in the log, and how many different errors.
	reported = 64
	// callFor bounds one conversation with the kernel.
	callFor        = 10 * time.Second
	tableRetryMost = 5 * time.Second
)

// NewTable makes the loop.
func NewTable(o TableOptions) *Table {
	t := &Table{TableOptions: o, dirty: make(chan struct{}, 1)}
	t.target.Store(new(Target(nothing{})))
	return t
}

// nothing is the Target before the first Set: no virtual server is wanted.
type nothing struct{}

func (nothing) Desired([]lvs.Service) []lvs.Service { return nil }

// Set says what the table should be from now on; the first call comes before Run. It never blocks, and may be called from
// any goroutine.
func (t *Table) Set(target Target) {
	t.target.Store(&target)
	t.poke()
}

func (t *Table) poke() {
	select {
	case t.dirty <- struct{}{}:
	default:
	}
}

// Name implements task.Task.
func (t *Table) Name() string { return "the table loop" }

// Ready is closed when the table has equalled the desired one for the first time.
func (t *Table) Ready() <-chan struct{} { return t.synced.Ready() }

// Snapshot is what the loop has reached, and a channel that is closed when that is something else.
func (t *Table) Snapshot() (TableSnapshot, <-chan struct{}) { return t.reached.Get() }

// publish changes what is known of the loop, and wakes whoever waits for it if that makes a difference.
func (t *Table) publish(change func(*TableSnapshot)) {
	before := t.reached.Load()
	now := before
	change(&now)
	if now.Known != before.Known || now.Problem != before.Problem || !maps.Equal(now.Serving, before.Serving) {
		t.reached.Set(now)
	}
}

// saw publishes a table that was read, or is what we have made of it.
func (t *Table) saw(table []lvs.Service) {
	serving := map[lvs.Key]bool{}
	for _, s := range table {
		if len(s.Servers) > 0 {
			serving[s.Key] = true
		}
	}
	t.publish(func(s *TableSnapshot) { s.Known, s.Serving = true, serving })
}

// Run keeps the table until ctx ends; it leaves the table as it is then. It returns an error only for what Fatal picks
// out of the first pass.
func (t *Table) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	select {
	case <-t.dirty: // the Set before: the first pass gathers nothing
	default:
	}
	for {
		poked := false
		select {
		case <-ctx.Done():
			return nil
		case <-t.dirty:
			poked = true
			if !sleep(ctx, t.settling()) {
				return nil
			}
		case <-timer.C:
		}
		heart.Beat()
		// Not only when the timer ends: verdicts that come all the time must not keep the audit away.
		if time.Since(t.audited) >= auditDistance(t.have) {
			t.audit()
		}
		var err error
		if poked || t.have == nil {
			err = t.pass(ctx)
		}
		wait := min(time.Until(t.audited.Add(auditDistance(t.have))), heartbeat.Every)
		switch {
		case err == nil:
			t.succeeded()
		case ctx.Err() != nil:
			return nil
		case t.first() && t.Fatal(err):
			return err
		default:
			wait = t.failed(err)
		}
		heart.Beat()
		timer.Reset(wait)
	}
}

// Withdraw deletes every virtual server that is ours. Run must have returned.
func (t *Table) Withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	have, err := t.Kernel.Read(ctx)
	if err != nil {
		return err
	}
	named := map[lvs.Key]bool{} // by the target: ours also where they could not be recorded
	for _, service := range (*t.target.Load()).Desired(nil) {
		named[service.Key] = true
	}
	_, err = t.Kernel.Apply(ctx, lvs.Diff(nil, have, func(key lvs.Key) bool { return named[key] || t.Ours(key) }))
	return err
}

func (t *Table) first() bool { return !t.synced.Closed() }

// audit forgets what we believe when a cheap look disagrees with it, or when it is time for a look at everything, so that
// the next pass reads the table.
func (t *Table) audit() {
	t.audited = time.Now()
	if t.have == nil {
		return
	}
	if time.Since(t.read) >= readDistance(t.have) {
		t.have = nil
		return
	}
	seen, err := t.Audit()
	if err != nil || len(lvs.Diff(t.have, seen, func(lvs.Key) bool { return true })) > 0 {
		t.have = nil
	}
}

// auditDistance is the time between two looks at a table, readDistance between two whole readings.
func auditDistance(table []lvs.Service) time.Duration {
	return min(auditEvery+time.Duration(entries(table))*auditPer, auditMost)
}

func readDistance(table []lvs.Service) time.Duration {
	return min(max(readLeast, time.Duration(entries(table))*readPer), readMost)
}

func entries(table []lvs.Service) int {
	n := len(table)
	for _, service := range table {
		n += len(service.Servers)
	}
	return n
}

func (t *Table) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	firstLook := false
	if t.have == nil {
		t.read = time.Now()
		have, err := t.Kernel.Read(ctx)
		if err != nil {
			t.publish(func(s *TableSnapshot) { s.Known, s.Serving = false, nil })
			return err
		}
		t.saw(have)
		if firstLook = !t.looked; firstLook {
			t.looked, t.found = true, have
		}
		t.have = slices.Clip(have)
		if t.have == nil {
			t.have = []lvs.Service{}
		}
	}
	want := (*t.target.Load()).Desired(t.found)
	if firstLook {
		for _, key := range lvs.Foreign(want, t.have, t.Ours) {
			t.Log.Info("a virtual server that is not ours is left alone", "virtual_server", key.String())
		}
	}
	t.found = still(t.found, want)
	ops := lvs.Diff(want, t.have, t.Ours)
	if firstLook || len(ops) > 0 { // what is adopted as it stands is ours, too
		t.Record(want)
	}
	if len(ops) == 0 {
		return nil
	}
	done, err := t.Kernel.Apply(ctx, ops)
	t.report(done)
	if gone := deleted(done); len(gone) > 0 {
		t.Forget(gone) // also where another step was refused: the next pass does not see them any more
	}
	t.have = lvs.Apply(t.have, done)
	t.saw(t.have)
	if err != nil {
		t.have = nil
	}
	return err
}

// still returns what of found is wanted: a real server that was taken out since the start, by its checks or with the
// cluster file, is not what stood there any more if it comes back.
func still(found, want []lvs.Service) []lvs.Service {
	if len(found) == 0 {
		return nil
	}
	type entry struct {
		key    lvs.Key
		server netip.AddrPort
	}
	wanted := map[entry]bool{}
	for _, service := range want {
		for _, server := range service.Servers {
			wanted[entry{service.Key, server.AddrPort()}] = true
		}
	}
	var kept []lvs.Service
	for _, service := range found {
		var servers []lvs.Server
		for _, server := range service.Servers {
			if wanted[entry{service.Key, server.AddrPort()}] {
				servers = append(servers, server)
			}
		}
		if len(servers) > 0 {
			service.Servers = servers
			kept = append(kept, service)
		}
	}
	return kept
}

// settling is how long verdicts are gathered.
func (t *Table) settling() time.Duration {
	if t.fails > 0 {
		return settleFailing
	}
	return settle
}

// report writes changes to the log; a table that is made anew is not worth a line for each of a thousand.
func (t *Table) report(ops []lvs.Op) {
	for _, op := range ops[:min(len(ops), reported)] {
		t.Log.Info("table", "change", op.String())
	}
	if more := len(ops) - reported; more > 0 {
		t.Log.Info("table: more changes of the same pass", "count", more)
	}
}

func deleted(ops []lvs.Op) []lvs.Key {
	var gone []lvs.Key
	for _, op := range ops {
		if op.Kind == lvs.DeleteService {
			gone = append(gone, op.Service.Key)
		}
	}
	return gone
}

func (t *Table) succeeded() {
	t.synced.Close()
	if t.fails > 0 {
		t.Log.Info("the table is as it should be again")
	}
	t.fails, t.logged = 0, nil
	t.publish(func(s *TableSnapshot) { s.Problem = "" })
}

func (t *Table) failed(err error) time.Duration {
	text := err.Error()
	t.publish(func(s *TableSnapshot) { s.Problem = text })
	if !t.logged[text] && len(t.logged) < reported {
		if t.logged == nil {
			t.logged = map[string]bool{}
		}
		t.logged[text] = true
		t.Log.Error("cannot bring the IPVS table to the desired state; trying again", "error", err)
	}
	wait := min(100*time.Millisecond<<min(t.fails, 10), tableRetryMost)
	t.fails++
	if errors.Is(err, context.DeadlineExceeded) {
		return tableRetryMost
	}
	return wait
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
