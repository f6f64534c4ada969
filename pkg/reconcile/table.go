package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/pulse"
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
	// Desired computes what the table should be, given what stood in it when the daemon started.
	Desired func(found []lvs.Service) []lvs.Service
	// Ours says which virtual servers may be deleted: the file's and those an earlier run recorded.
	Ours func(lvs.Key) bool
	// Record writes down, before the kernel is changed, which virtual servers will be ours; Forget, afterwards, which
	// are not any more: one that somebody makes there later is his.
	Record func(want []lvs.Service)
	Forget func(gone []lvs.Key)
	// Fatal picks the errors that no retry mends; Run returns them while the first pass has not succeeded.
	Fatal func(error) bool
	Log   *slog.Logger
}

// Table is the table loop.
type Table struct {
	TableOptions
	dirty   chan struct{}
	synced  chan struct{}
	problem atomic.Pointer[string]

	// Pulse is beaten once a turn of Run; nil: nobody watches. To be set before.
	Pulse *pulse.Pulse

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
	return &Table{TableOptions: o, dirty: make(chan struct{}, 1), synced: make(chan struct{})}
}

// Poke says that what Desired returns may have changed. It never blocks.
func (t *Table) Poke() {
	select {
	case t.dirty <- struct{}{}:
	default:
	}
}

// Synced is closed when the table has equalled the desired one for the first time.
func (t *Table) Synced() <-chan struct{} { return t.synced }

// Problem says why the table is not as it should be; "" when it is. Any goroutine may ask.
func (t *Table) Problem() string {
	if p := t.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// Run keeps the table until ctx ends; it leaves the table as it is then. It returns an error only for what Fatal picks
// out of the first pass.
func (t *Table) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer t.Pulse.Stop()
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
		t.Pulse.Beat()
		// Not only when the timer ends: verdicts that come all the time must not keep the audit away.
		if time.Since(t.audited) >= auditDistance(t.have) {
			t.audit()
		}
		var err error
		if poked || t.have == nil {
			err = t.pass(ctx)
		}
		wait := min(time.Until(t.audited.Add(auditDistance(t.have))), pulse.Every)
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
		t.Pulse.Beat()
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
	_, err = t.Kernel.Apply(ctx, lvs.Diff(nil, have, t.Ours))
	return err
}

func (t *Table) first() bool {
	select {
	case <-t.synced:
		return false
	default:
		return true
	}
}

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
			return err
		}
		if firstLook = !t.looked; firstLook {
			t.looked, t.found = true, have
		}
		t.have = slices.Clip(have)
		if t.have == nil {
			t.have = []lvs.Service{}
		}
	}
	want := t.Desired(t.found)
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
	if err != nil {
		t.have = nil
		return err
	}
	t.have = lvs.Apply(t.have, ops)
	return nil
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
	if t.first() {
		close(t.synced)
	}
	if t.fails > 0 {
		t.Log.Info("the table is as it should be again")
	}
	t.fails, t.logged = 0, nil
	t.problem.Store(nil)
}

func (t *Table) failed(err error) time.Duration {
	text := err.Error()
	t.problem.Store(&text)
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
