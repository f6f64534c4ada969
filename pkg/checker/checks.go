package checker

import (
	"iter"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/plan"
)

// checks are all checks, by identity. A map with the identities as keys would store each, 112 bytes, at least twice:
// therefore the key is the target, and the few checks of one target are a linked list.
type checks map[netip.AddrPort]*check

// find returns the check of an identity, nil when there is none.
func (c checks) find(id plan.CheckID) *check {
	for k := c[id.Target]; k != nil; k = k.sibling {
		if k.id == id {
			return k
		}
	}
	return nil
}

// add adds a check whose identity is new.
func (c checks) add(k *check) {
	k.sibling = c[k.id.Target]
	c[k.id.Target] = k
}

// remove removes a check, which must be present.
func (c checks) remove(k *check) {
	first := c[k.id.Target]
	switch {
	case first != k:
		for ; first.sibling != k; first = first.sibling {
		}
		first.sibling = k.sibling
	case k.sibling != nil:
		c[k.id.Target] = k.sibling
	default:
		delete(c, k.id.Target)
	}
}

// all iterates over the checks, in no particular order. The current one may be removed.
func (c checks) all() iter.Seq[*check] {
	return func(yield func(*check) bool) {
		for _, k := range c {
			for k != nil {
				next := k.sibling
				if !yield(k) {
					return
				}
				k = next
			}
		}
	}
}
