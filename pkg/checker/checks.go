package checker

import (
	"iter"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/plan"
)

// checks are all that are made, by their identity. A map with the identities as keys would keep each, 112 bytes, twice and more:
// the key is the target, and the few checks of one target are a list.
type checks map[netip.AddrPort]*check

// find returns the check of an identity, nil when there is none.
func (c checks) find(id plan.CheckID) *check {
	for k := c[id.Target]; k != nil; k = k.beside {
		if k.id == id {
			return k
		}
	}
	return nil
}

// add adds a check whose identity is new.
func (c checks) add(k *check) {
	k.beside = c[k.id.Target]
	c[k.id.Target] = k
}

// remove removes a check that is there.
func (c checks) remove(k *check) {
	first := c[k.id.Target]
	switch {
	case first != k:
		for ; first.beside != k; first = first.beside {
		}
		first.beside = k.beside
	case k.beside != nil:
		c[k.id.Target] = k.beside
	default:
		delete(c, k.id.Target)
	}
}

// all are the checks, in no order. The one that is at hand may be removed.
func (c checks) all() iter.Seq[*check] {
	return func(yield func(*check) bool) {
		for _, k := range c {
			for k != nil {
				next := k.beside
				if !yield(k) {
					return
				}
				k = next
			}
		}
	}
}
