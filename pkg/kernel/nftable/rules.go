package nftable

import (
	"context"
	"errors"
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Rules keeps the table that is made from a value C, in the network namespace of the calling thread. It keeps nothing open.
type Rules[C any] struct {
	Name string // of the table
	// Of returns the sets and chains of the table for a value.
	Of func(C) (Table, error)
	// Remedy completes the sentence of kernel.ErrNoNFTables: what needs the rules, and what to do. Optional.
	Remedy func(C) string
}

func (r Rules[C]) table(c C) (Table, error) {
	t, err := r.Of(c)
	if err != nil {
		return t, fmt.Errorf("the table %s: %w", r.Name, err)
	}
	t.Name = r.Name
	return t, nil
}

func (r Rules[C]) remedy(err error, c C) error {
	if r.Remedy != nil && errors.Is(err, kernel.ErrNoNFTables) {
		return fmt.Errorf("%w, which %s", err, r.Remedy(c))
	}
	return err
}

// Put replaces the table by the one for c. The kernel treats no packet by a mixture of the old one and the new one.
// Errors: kernel.ErrNoNFTables, kernel.ErrNotPermitted, and others of the kernel.
func (r Rules[C]) Put(ctx context.Context, c C) error {
	t, err := r.table(c)
	if err != nil {
		return err
	}
	return r.remedy(put(ctx, t), c)
}

// Intact reports whether the kernel has the table for c, with these chains and no others. It does not look at other sets, which
// no rule of ours uses.
func (r Rules[C]) Intact(ctx context.Context, c C) (bool, error) {
	t, err := r.table(c)
	if err != nil {
		return false, err
	}
	same, err := intact(ctx, t)
	return same, r.remedy(err, c)
}

// Remove removes the table, if there is one, and reports whether there was.
func (r Rules[C]) Remove(ctx context.Context) (removed bool, err error) { return remove(ctx, r.Name) }

// Generation returns a number that the kernel changes with every change of nf_tables in this network namespace.
func (Rules[C]) Generation(ctx context.Context) (uint32, error) { return generation(ctx) }
