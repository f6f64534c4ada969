package statefile

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestSyncDaemonsAreKept: the daemons that were started are known to the next run, one of each role.
func TestSyncDaemonsAreKept(t *testing.T) {
	dir := t.TempDir()
	one := kernel.SyncDaemon{Role: kernel.SyncMaster, Interface: "eth0", ID: 51, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1}
	two, other := one, one
	two.Role, other.Interface = kernel.SyncBackup, "eth1"
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []kernel.SyncDaemon{one, two, other} {
		if err := l.RecordSyncDaemon(d); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	if l, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.SyncDaemons(); !slices.Equal(got, []kernel.SyncDaemon{two, other}) {
		t.Errorf("%+v", got)
	}
	if err := l.ForgetSyncDaemon(kernel.SyncBackup); err != nil || !slices.Equal(l.SyncDaemons(), []kernel.SyncDaemon{other}) {
		t.Errorf("%v, %+v", err, l.SyncDaemons())
	}
}
