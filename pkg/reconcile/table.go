package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// TableKernel is the IPVS table. ctx carries the deadline.
type TableKernel interface {
	Read(ctx context.Context) ([]lvs.Service, error)
	// ReadServices is Read without the real servers, and costs much less with many virtual servers.
	ReadServices(ctx context.Context) ([]lvs.Service, error)
	// Apply executes ops in order and returns those that succeeded, even if it also returns an error: a refused op does
	// not prevent the others.
	Apply(ctx context.Context, ops []lvs.Op) (done []lvs.Op, err error)
}

// TableOptions are the dependencies of a Table. All are required.
type TableOptions struct {
	Kernel TableKernel
	// Audit is a cheap read of the table, which detects changes by other processes between our own.
	Audit func() ([]lvs.Service, error)
	// Fingerprint is cheaper still: as long as it returns the same, Audit would return the same, but for counters.
	Fingerprint func() (uint64, error)
	// Ours reports whether this or an earlier run recorded a virtual server: it may be deleted. Recorded returns all that
	// are recorded.
	Ours     func(lvs.Key) bool
	Recorded func() []lvs.Key
	// Record saves which virtual servers will be ours, before the kernel is changed; Forget removes them once they are
	// gone, so that one that another process adds there later is not taken for ours.
	Record func(want []lvs.Service)
	Forget func(gone []lvs.Key)
	// Fatal reports whether a retry is pointless after an error; Run returns such an error if no pass has succeeded yet.
	Fatal func(error) bool
	Log   *slog.Logger
}

// Target is the desired state of a table.
type Target interface {
	// Desired returns the virtual servers; found is what was in the table when the daemon started and is still wanted.
	Desired(found []lvs.Service) []lvs.Service
}

// TableSnapshot is the state that the table loop has reached.
type TableSnapshot struct {
	// Known: the last read of the table succeeded.
	Known bool
	// Services is the presumed content of the table: the last read and the changes since. It must not be modified, and its
	// counters are those of the last read; nil unless Known.
	Services []lvs.Service
	// ReadAt is when the table was last read completely, with its counters.
	ReadAt time.Time
	// Serving are the virtual servers in the table with a real server that takes new connections.
	Serving map[lvs.Key]bool
	// Problem is why the table is not in the desired state; "" if it is.
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
	looked  bool            // the table was read at least once
	found   []lvs.Service   // what was in the table at the start and is still wanted
	have    []lvs.Service   // the presumed content of the table; nil: read it
	audited time.Time       // when it was last checked for changes by other processes,
	auditAt time.Time       // when it will be next
	read    time.Time       // when it was last read completely
	doubted *doubt          // not nil: why the table is read now
	shown   []lvs.Service   // what the cheap read says although the table is as in have; nil: it says the same
	print   uint64          // the fingerprint of a table that was found to be as in have; 0: none was
	logged  map[string]bool // errors since the table was last in the desired state
	fails   int
	retryAt time.Time // after a failure: when the next pass is due
}

const (
	// settle is the wait before a pass, which batches verdicts that arrive together.
	settle = 5 * time.Millisecond
	// auditEvery is how long a change by another process may last, auditPer what each entry adds to that, so that a large
	// table does not take CPU time from the election, and auditMax the maximum.
	auditEvery = 500 * time.Millisecond
	auditPer   = 250 * time.Microsecond
	auditMax   = 1500 * time.Millisecond
	// readMin is the minimum interval between complete reads of the table, which alone see flags and thresholds. It is
	// readPer for each entry, as reading one costs about 10 us, if that is longer, and at most readMax.
	readMin = time.Second
	readPer = 2 * time.Millisecond
	readMax = 30 * time.Second
	// settleFailing is settle while the kernel refuses a change. It delays the other changes only briefly, and limits the
	// retries when verdicts arrive all the time.
	settleFailing = 250 * time.Millisecond
	// reported is the maximum number of changes of one pass in the log, and of different errors.
	reported = 64
	// callTimeout is the deadline of one exchange with the kernel.
	callTimeout   = 10 * time.Second
	tableRetryMax = 5 * time.Second
)

// NewTable makes the loop.
func NewTable(o TableOptions) *Table {
	t := &Table{TableOptions: o, dirty: make(chan struct{}, 1)}
	t.target.Store(new(Target(nothing{})))
	return t
}

// nothing is the Target before the first Set.
type nothing struct{}

func (nothing) Desired([]lvs.Service) []lvs.Service { return nil }

// Set changes the desired state. It must first be called before Run. It never blocks and may be called from any
// goroutine.
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

// Ready is closed when the table is in the desired state for the first time.
func (t *Table) Ready() <-chan struct{} { return t.synced.Ready() }

// Snapshot returns the state that the loop has reached, and a channel that is closed when it changes.
func (t *Table) Snapshot() (TableSnapshot, <-chan struct{}) { return t.reached.Get() }

// publish changes the snapshot, and wakes its readers if it differs.
func (t *Table) publish(change func(*TableSnapshot)) {
	before := t.reached.Load()
	now := before
	change(&now)
	if now.Known != before.Known || now.Problem != before.Problem || !sameSlice(now.Services, before.Services) {
		t.reached.Set(now)
	}
}

func sameSlice(a, b []lvs.Service) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// saw publishes the content of the table after a read or a change, and returns it. Only a change wakes the readers of the
// snapshot, counters do not.
func (t *Table) saw(table []lvs.Service) []lvs.Service {
	if before := t.reached.Load(); before.Known && lvs.Equal(table, before.Services) && lvs.Equal(before.Services, table) {
		before.Services, before.ReadAt = table, t.read
		t.reached.Replace(before)
		return table
	}
	t.print = 0
	serving := map[lvs.Key]bool{}
	for _, s := range table {
		if s.TakesConnections() {
			serving[s.Key] = true
		}
	}
	t.publish(func(s *TableSnapshot) { s.Known, s.Services, s.Serving, s.ReadAt = true, table, serving, t.read })
	return table
}

// Run maintains the table until ctx ends and then leaves it as it is. It returns an error only if Fatal accepts it
// before any pass has succeeded.
func (t *Table) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	select {
	case <-t.dirty: // from the Set before Run: the first pass does not wait for more
	default:
	}
	for {
		poked := false
		select {
		case <-ctx.Done():
			return nil
		case <-t.dirty:
			poked = true
			if !task.Pause(ctx, t.settling()) {
				return nil
			}
		case <-timer.C:
			if rest := time.Until(t.retryAt); rest > 0 {
				heart.Beat()
				timer.Reset(min(rest, heartbeat.Every))
				continue
			}
		}
		heart.Beat()
		// Not only when the timer fires: verdicts that arrive all the time must not prevent the audit.
		if !time.Now().Before(t.auditAt) {
			t.audit()
		}
		var err error
		if poked || t.have == nil {
			err = t.pass(ctx)
		}
		now := time.Now()
		t.auditAt = now.Add(heartbeat.Early(now, t.audited.Add(auditInterval(t.have)).Sub(now)))
		wait := min(t.auditAt.Sub(now), heartbeat.Until(now, heartbeat.Every))
		switch {
		case err == nil:
			t.succeeded()
		case ctx.Err() != nil:
			return nil
		case t.first() && t.Fatal(err):
			return err
		default:
			wait = min(t.failed(err), heartbeat.Every)
		}
		heart.Beat()
		timer.Reset(wait)
	}
}

// Withdraw deletes every virtual server that is ours. Run must have returned.
func (t *Table) Withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	have, err := t.Kernel.ReadServices(ctx) // the kernel deletes the real servers with their virtual server
	if err != nil {
		return err
	}
	named := map[lvs.Key]bool{} // by the target: ours even if they could not be recorded
	for _, service := range (*t.target.Load()).Desired(nil) {
		named[service.Key] = true
	}
	done, err := t.Kernel.Apply(ctx, lvs.Diff(nil, have, func(key lvs.Key) bool { return named[key] || t.Ours(key) }))
	t.report(done)
	return err
}

func (t *Table) first() bool { return !t.synced.Closed() }

func (t *Table) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	whole, firstLook := t.have == nil, !t.looked
	if whole {
		if err := t.readAll(ctx); err != nil {
			return err
		}
	}
	want := (*t.target.Load()).Desired(t.found)
	if firstLook {
		for _, key := range lvs.Foreign(want, t.have, t.Ours) {
			t.Log.Info("a virtual server that is not ours is left unchanged", "virtual_server", key.String())
		}
	}
	t.found = stillWanted(t.found, want)
	if whole { // otherwise have is what this loop presumes, and another process may have deleted more
		if gone := absent(t.Recorded(), want, t.have); len(gone) > 0 {
			t.Forget(gone)
		}
	}
	ops := lvs.Diff(want, t.have, t.Ours)
	if whole || len(ops) > 0 { // adopted virtual servers are ours even if nothing has to change
		t.Record(want)
	}
	if len(ops) == 0 {
		return nil
	}
	done, err := t.Kernel.Apply(ctx, ops)
	t.shown, t.print = nil, 0
	t.report(done)
	if gone := deleted(done); len(gone) > 0 {
		t.Forget(gone) // even if another op was refused: the next pass does not see them any more
	}
	t.have = t.saw(lvs.Apply(t.have, done))
	if err != nil {
		t.have = nil
	}
	return err
}

// readAll reads the whole table.
func (t *Table) readAll(ctx context.Context) error {
	t.read = time.Now()
	have, err := t.Kernel.Read(ctx)
	if err != nil {
		t.publish(func(s *TableSnapshot) { s.Known, s.Services, s.Serving = false, nil, nil })
		return err
	}
	have = slices.Clip(t.saw(have))
	t.settleDoubt(have)
	if !t.looked {
		t.looked, t.found = true, have
	}
	if t.have = have; t.have == nil {
		t.have = []lvs.Service{}
	}
	return nil
}

// absent returns the recorded virtual servers that are neither wanted nor in a table that was read completely: another
// process has deleted them, or a crash came between our change and the state file.
func absent(recorded []lvs.Key, want, have []lvs.Service) []lvs.Key {
	if len(recorded) == 0 {
		return nil
	}
	known := make(map[lvs.Key]bool, len(want)+len(have))
	for _, services := range [][]lvs.Service{want, have} {
		for _, service := range services {
			known[service.Key] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(recorded), func(key lvs.Key) bool { return known[key] })
}

// stillWanted returns the part of found that is wanted. A real server that was removed since the start, by its checks
// or by a reload, does not count as found if it returns.
func stillWanted(found, want []lvs.Service) []lvs.Service {
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
				server.Traffic = nil // not kept alive
				servers = append(servers, server)
			}
		}
		if len(servers) > 0 {
			service.Servers, service.Traffic = servers, nil
			kept = append(kept, service)
		}
	}
	return kept
}

// settling is the wait before a pass.
func (t *Table) settling() time.Duration {
	if t.fails > 0 {
		return settleFailing
	}
	return settle
}

// report logs changes, at most reported lines for each pass: a new table may have thousands.
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
		t.Log.Info("the IPVS table is in the desired state again")
	}
	t.fails, t.logged, t.retryAt = 0, nil, time.Time{}
	t.publish(func(s *TableSnapshot) { s.Problem = "" })
}

// failed reports an error and returns the time until the next attempt, at most tableRetryMax.
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
	wait := min(100*time.Millisecond<<min(t.fails, 10), tableRetryMax)
	t.fails++
	if errors.Is(err, context.DeadlineExceeded) {
		wait = tableRetryMax
	}
	t.retryAt = time.Now().Add(wait)
	return wait
}
