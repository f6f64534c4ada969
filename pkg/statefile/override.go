package statefile

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/override"
)

// overrides are the decisions of operators. Unlike the rest they do not describe the kernel, and are kept in another boot.
// Those that this version does not know are not kept.
type overrides = lenient[override.Override]

// Overrides returns the decisions of operators.
func (l *File) Overrides() override.Set {
	l.mu.Lock()
	defer l.mu.Unlock()
	return override.SetOf(l.content.Overrides)
}

// SetOverrides replaces them.
func (l *File) SetOverrides(s override.Set) error {
	return l.change(func(b *content) bool {
		if slices.Equal(b.Overrides, s.All()) {
			return false
		}
		b.Overrides = slices.Clone(s.All())
		return true
	})
}

// addOverrides merges overrides into b and reports whether that changed anything.
func (b *content) addOverrides(more overrides) bool {
	merged := override.SetOf(b.Overrides).Merge(override.SetOf(more)).All()
	if slices.Equal(b.Overrides, merged) {
		return false
	}
	b.Overrides = slices.Clone(merged)
	return true
}
