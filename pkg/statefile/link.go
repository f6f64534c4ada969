package statefile

import (
	"cmp"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func compareLinks(a, b kernel.VirtualLink) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.HardwareAddr, b.HardwareAddr))
}

// Links returns the interfaces that were added, sorted.
func (l *File) Links() []kernel.VirtualLink {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Links)
}

// SetLinks replaces all interfaces; SetLinks(nil) removes them.
func (l *File) SetLinks(all []kernel.VirtualLink) error {
	return l.change(func(b *content) bool { return replace(&b.Links, all, compareLinks) })
}

// RecordLink adds an interface; one that is already recorded is ignored.
func (l *File) RecordLink(v kernel.VirtualLink) error {
	return l.change(func(b *content) bool { return replace(&b.Links, append(slices.Clone(b.Links), v), compareLinks) })
}

// ForgetLink removes an interface; an unknown one is ignored.
func (l *File) ForgetLink(v kernel.VirtualLink) error {
	return l.change(func(b *content) bool {
		return replace(&b.Links, without(b.Links, []kernel.VirtualLink{v}), compareLinks)
	})
}
