package netnstest

import (
	"context"
	"testing"
	"time"
)

// Keeper keeps a table of nf_tables that is made from a value C; see nftable.Rules.
type Keeper[C any] interface {
	Put(ctx context.Context, c C) error
	Intact(ctx context.Context, c C) (bool, error)
	Remove(ctx context.Context) (bool, error)
	Generation(ctx context.Context) (uint32, error)
}

// Rules is a Keeper in a host, whose errors end the test.
type Rules[C any] struct {
	Host
	t      *testing.T
	keeper Keeper[C]
}

// NewRules makes h, which comes from NewNFT, the host of a Keeper.
func NewRules[C any](t *testing.T, h Host, k Keeper[C]) Rules[C] { return Rules[C]{h, t, k} }

func (r Rules[C]) do(f func(ctx context.Context) error) {
	r.t.Helper()
	r.Do(r.t, func() error {
		ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
		defer cancel()
		return f(ctx)
	})
}

// Put calls the method of the Keeper; and so do Intact, Remove and generation.
func (r Rules[C]) Put(c C) {
	r.t.Helper()
	r.do(func(ctx context.Context) error { return r.keeper.Put(ctx, c) })
}

// Intact see Put.
func (r Rules[C]) Intact(c C) (same bool) {
	r.t.Helper()
	r.do(func(ctx context.Context) (err error) {
		same, err = r.keeper.Intact(ctx, c)
		return err
	})
	return same
}

// Remove see Put.
func (r Rules[C]) Remove() (removed bool) {
	r.t.Helper()
	r.do(func(ctx context.Context) (err error) {
		removed, err = r.keeper.Remove(ctx)
		return err
	})
	return removed
}

func (r Rules[C]) generation() (g uint32) {
	r.t.Helper()
	r.do(func(ctx context.Context) (err error) {
		g, err = r.keeper.Generation(ctx)
		return err
	})
	return g
}

// IsListed checks that c makes the table that nft(8) shows as listing.
func (r Rules[C]) IsListed(name string, c C, listing string) {
	r.t.Helper()
	r.Put(c)
	if got := sortedElements(r.NFT(r.t, "list table inet "+name)); got != sortedElements(listing) {
		r.t.Errorf("the table is\n%s\nwant\n%s", got, listing)
	}
	if !r.Intact(c) {
		r.t.Error("it is not found intact")
	}
}

// AreKept checks a table in a new host, by nft(8): it is listed as it is meant, another Put replaces it, every change by another
// program is seen and changes the generation, the tables of others stay as they are and are no change of ours, and a removed
// table is gone.
func (r Rules[C]) AreKept(name string, c C, listing string, changes ...string) {
	t := r.t
	t.Helper()
	const theirs = "table inet theirs {\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t\ttcp dport 22 accept\n\t}\n}\n"
	const add = "add table inet theirs; add chain inet theirs input { type filter hook input priority 0; }; add rule inet theirs input tcp dport 22 accept"
	r.NFT(t, add)
	if r.Remove() || r.Intact(c) {
		t.Error("there is a table before the first Put")
	}
	for range 2 {
		r.IsListed(name, c, listing)
	}
	for _, change := range append(changes, "delete table inet "+name, "add chain inet "+name+" other { type filter hook input priority 0; policy drop; }") {
		r.Put(c)
		if !r.Intact(c) {
			t.Fatal("it is not intact after Put")
		}
		before := r.generation()
		r.NFT(t, change)
		if r.generation() == before {
			t.Errorf("%s: the generation is still %d", change, before)
		}
		if r.Intact(c) {
			t.Errorf("%s: it is intact", change)
		}
	}
	r.NFT(t, "flush ruleset")
	if r.Intact(c) {
		t.Error("flush ruleset: it is intact")
	}
	r.NFT(t, add)
	r.Put(c)
	r.NFT(t, "add table inet others")
	if !r.Intact(c) {
		t.Error("a table of another program is taken for a change of ours")
	}
	r.NFT(t, "delete table inet others")
	if !r.Remove() || r.Remove() {
		t.Error("it is not removed once")
	}
	if got := r.NFT(t, "list ruleset"); got != theirs {
		t.Errorf("at the end there is\n%s", got)
	}
}
