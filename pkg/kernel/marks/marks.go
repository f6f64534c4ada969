package marks

import (
	"context"
	"errors"
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
)

// Table is the table in the network namespace of the calling thread. It keeps nothing open. The zero value is ready.
type Table struct{}

// remedy completes the error of a kernel that cannot have the table.
func remedy(err error, m kernel.Marking) error {
	if errors.Is(err, nftable.ErrNone) && len(m.Endpoints) == 0 {
		return fmt.Errorf("%w, which real servers that are directors too need: modprobe nf_tables, use another kernel, or separate machines", err)
	} else if errors.Is(err, nftable.ErrNone) {
		return fmt.Errorf("%w, which marking: nftables needs: modprobe nf_tables, use another kernel, or write marking: none and add rules of your own", err)
	}
	return err
}

// Put replaces the table by the rules for m.
func (Table) Put(ctx context.Context, m kernel.Marking) error {
	t, err := table(m)
	if err != nil {
		return err
	}
	return remedy(nftable.Put(ctx, t), m)
}

// Intact reports whether the table has the rules for m, and nothing else.
func (Table) Intact(ctx context.Context, m kernel.Marking) (bool, error) {
	t, err := table(m)
	if err != nil {
		return false, err
	}
	same, err := nftable.Intact(ctx, t)
	return same, remedy(err, m)
}

// Remove removes the table, if there is one, and reports whether there was.
func (Table) Remove(ctx context.Context) (removed bool, err error) {
	return nftable.Remove(ctx, kernel.MarkTable)
}

// Generation returns a number that the kernel changes with every change of nf_tables in this network namespace.
func (Table) Generation(ctx context.Context) (uint32, error) {
	return nftable.Generation(ctx)
}
