package director

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// fakeSync are the synchronization daemons of a fakeKernel.
type fakeSync struct{ *fakeKernel }

func (k *fakeKernel) SyncDaemons() reconcile.SyncDaemonKernel { return fakeSync{k} }

func (f fakeSync) List(context.Context) ([]kernel.SyncDaemon, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sync), f.fail["ipvsadm -l --daemon"]
}

func (f fakeSync) Start(_ context.Context, d kernel.SyncDaemon) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.ContainsFunc(f.links, func(l kernel.Link) bool { return l.Name == d.Interface }) {
		return fmt.Errorf("start the %s synchronization daemon on %s: there is no such interface", d.Role, d.Interface)
	}
	if err := f.do("ipvsadm --start-daemon %s --mcast-interface %s --syncid %d", d.Role, d.Interface, d.ID); err != nil {
		return err
	}
	f.sync = append(f.sync, d)
	return nil
}

func (f fakeSync) Stop(_ context.Context, role kernel.SyncRole) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.do("ipvsadm --stop-daemon %s", role); err != nil {
		return err
	}
	f.sync = slices.DeleteFunc(f.sync, func(d kernel.SyncDaemon) bool { return d.Role == role })
	return nil
}

// startsSync is another program that starts a daemon; nil stops all.
func (k *fakeKernel) startsSync(d *kernel.SyncDaemon) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sync = nil
	if d != nil {
		k.sync = []kernel.SyncDaemon{*d}
	}
}

func (k *fakeKernel) syncRoles() (roles []kernel.SyncRole) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.sync {
		roles = append(roles, d.Role)
	}
	slices.Sort(roles)
	return roles
}

var foreignSync = kernel.SyncDaemon{
	Role: kernel.SyncBackup, Interface: "eth1", Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1, MaxLen: 1472,
}

const syncing = "connection_sync: {interface: eth1}\n"

func connectionSyncCases() []codesCase {
	return []codesCase{
		{File: codesFile + syncing, Before: func(n *node) { n.counted(0) }, Case: problemtest.Case[*node]{
			Code: problem.SyncNotRunning, Subject: "master",
			Break: func(n *node) { n.refuse("ipvsadm --start-daemon master", context.DeadlineExceeded); n.startsSync(nil) },
			Mend:  func(n *node) { n.refuse("ipvsadm --start-daemon master", nil) },
		}},
		{File: codesFile + syncing, Before: func(n *node) { n.counted(0) }, Case: problemtest.Case[*node]{
			Code: problem.SyncNotRunning, Subject: "backup", Fault: "another program's runs",
			Break: func(n *node) { n.startsSync(&foreignSync) },
			Mend:  func(n *node) { n.startsSync(nil) },
		}},
	}
}

// TestSyncRoles: without an instance both daemons run, with one that of its state, and
// that which learns for two seconds longer. They end with the director, and with a
// reload that no longer wants them.
func TestSyncRoles(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(codesFile + "connection_sync: {}\n")
		expect := func(when string, want ...kernel.SyncRole) {
			t.Helper()
			time.Sleep(2 * time.Second)
			if got := m.syncRoles(); !slices.Equal(got, want) {
				t.Errorf("%s: %v", when, got)
			}
		}
		expect("both", kernel.SyncBackup, kernel.SyncMaster)
		m.reload(codesFile + "connection_sync: {instance: a}\n")
		expect("MASTER of a", kernel.SyncMaster)
		m.carrier(false)
		expect("a is in FAULT", kernel.SyncBackup)
		m.carrier(true)
		expect("just MASTER again", kernel.SyncBackup, kernel.SyncMaster)
		expect("MASTER again", kernel.SyncMaster)
		m.reload(codesFile)
		expect("no longer in the file")
		m.reload(codesFile + "connection_sync: {instance: a}\n")
		expect("in the file again", kernel.SyncMaster)
		m.stop()
		if got := m.syncRoles(); len(got) != 0 {
			t.Errorf("after the end: %v", got)
		}
	})
}
