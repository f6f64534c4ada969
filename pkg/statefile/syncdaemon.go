package statefile

import (
	"cmp"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func compareSyncDaemons(a, b kernel.SyncDaemon) int {
	return cmp.Or(
		cmp.Compare(a.Role, b.Role), cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.ID, b.ID), a.Group.Compare(b.Group),
		cmp.Compare(a.Port, b.Port), cmp.Compare(a.TTL, b.TTL), cmp.Compare(a.MaxLen, b.MaxLen),
	)
}

// SyncDaemons returns the synchronization daemons that were started, sorted.
func (l *File) SyncDaemons() []kernel.SyncDaemon {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.SyncDaemons)
}

// RecordSyncDaemon adds a daemon; it replaces that of the same role.
func (l *File) RecordSyncDaemon(d kernel.SyncDaemon) error {
	return l.change(func(b *content) bool {
		return replace(&b.SyncDaemons, append(withoutRole(b.SyncDaemons, d.Role), d), compareSyncDaemons)
	})
}

// ForgetSyncDaemon removes the daemon of a role; without one it does nothing.
func (l *File) ForgetSyncDaemon(role kernel.SyncRole) error {
	return l.change(func(b *content) bool {
		return replace(&b.SyncDaemons, withoutRole(b.SyncDaemons, role), compareSyncDaemons)
	})
}

func withoutRole(all []kernel.SyncDaemon, role kernel.SyncRole) []kernel.SyncDaemon {
	return slices.DeleteFunc(slices.Clone(all), func(d kernel.SyncDaemon) bool { return d.Role == role })
}
