package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TableKernel is the IPVS table. The deadline comes by ctx.
type TableKernel interface {
	Read(ctx context.Context) ([]lvs.Service, error)
	// Apply carries out ops in order and returns how many were done before an error.
	Apply(ctx context.Context, ops []lvs.Op) (done int, err error)
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
	// Record writes down, before the kernel is changed, which virtual servers will be ours.
	Record func(want []lvs.Service) error
	// Fatal picks the errors that no retry mends; Run returns them while the first pass has not succeeded.
	Fatal func(error) bool
	Log   *slog.Logger
}

// Table is the table loop.
type Table struct {
	TableOptions
	dirty  chan struct{}
	synced chan struct{}

	// Owned by Run:
	found  []lvs.Service // what stood there at the start
	have   []lvs.Service // what we believe is there; nil: read it
	logged string
	fails  int
}

const (
	// settle gathers verdicts that come together into one pass.
	settle = 5 * time.Millisecond
	// auditEvery is how long a change by a foreign hand may stand.
	auditEvery = time.Second
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

// Run keeps the table until ctx ends; it leaves the table as it is then. It returns an error only for what Fatal picks
// out of the first pass.
func (t *Table) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.dirty:
			if !sleep(ctx, settle) {
				return nil
			}
		case <-timer.C:
			t.audit()
		}
		err := t.pass(ctx)
		wait := auditEvery
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

// audit forgets what we believe when a cheap look disagrees with it, so that the next pass reads the table.
func (t *Table) audit() {
	if t.have == nil {
		return
	}
	seen, err := t.Audit()
	if err != nil || len(lvs.Diff(t.have, seen, func(lvs.Key) bool { return true })) > 0 {
		t.have = nil
	}
}

func (t *Table) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	if t.have == nil {
		have, err := t.Kernel.Read(ctx)
		if err != nil {
			return err
		}
		if t.first() && t.found == nil {
			t.found = have
		}
		t.have = slices.Clip(have)
		if t.have == nil {
			t.have = []lvs.Service{}
		}
	}
	want := t.Desired(t.found)
	ops := lvs.Diff(want, t.have, t.Ours)
	if len(ops) == 0 {
		return nil
	}
	if err := t.Record(want); err != nil {
		return err
	}
	done, err := t.Kernel.Apply(ctx, ops)
	for _, op := range ops[:done] {
		t.Log.Info("table", "change", op.String())
	}
	if err != nil {
		t.have = nil
		return err
	}
	t.have = lvs.Apply(t.have, ops)
	return nil
}

func (t *Table) succeeded() {
	if t.first() {
		close(t.synced)
	}
	if t.fails > 0 {
		t.Log.Info("the table is as it should be again")
	}
	t.fails, t.logged = 0, ""
}

func (t *Table) failed(err error) time.Duration {
	if text := err.Error(); text != t.logged {
		t.logged = text
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
