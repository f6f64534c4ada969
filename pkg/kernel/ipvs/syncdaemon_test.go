package ipvs

import (
	"errors"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func daemons(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ipvsadm", "-l", "--daemon").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestSyncDaemons: what is started is what ipvsadm lists, what ipvsadm started is listed, and only a daemon of the given role
// is stopped.
func TestSyncDaemons(t *testing.T) {
	openTable(t)
	var s SyncDaemons
	t.Cleanup(func() {
		for _, role := range kernel.SyncRoles {
			_ = s.Stop(t.Context(), role)
		}
	})
	if got, err := s.List(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("%v, %v", got, err)
	}
	if err := s.Stop(t.Context(), kernel.SyncMaster); !errors.Is(err, ErrNoSyncDaemon) {
		t.Errorf("%v, want %v", err, ErrNoSyncDaemon)
	}
	want := kernel.SyncDaemon{
		Role: kernel.SyncMaster, Interface: "lo", ID: 51, Group: netip.MustParseAddr("239.1.2.3"), Port: 9000, TTL: 3, MaxLen: 1200,
	}
	if err := s.Start(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := daemons(t); strings.TrimSpace(got) != "master sync daemon (mcast=lo, syncid=51, maxlen=1200, group=239.1.2.3, port=9000, ttl=3)" {
		t.Error(got)
	}
	if err := s.Start(t.Context(), want); !errors.Is(err, ErrSyncRuns) {
		t.Errorf("%v, want %v", err, ErrSyncRuns)
	}
	ipvsadm(t, "--start-daemon", "backup", "--mcast-interface", "lo", "--syncid", "7")
	got, err := s.List(t.Context())
	foreign := kernel.SyncDaemon{Role: kernel.SyncBackup, Interface: "lo", ID: 7, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1}
	if err != nil || len(got) != 2 || !slices.Contains(got, want) || !slices.ContainsFunc(got, foreign.Is) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.Stop(t.Context(), kernel.SyncMaster); err != nil {
		t.Error(err)
	}
	if got := daemons(t); !strings.HasPrefix(got, "backup sync daemon") || strings.Contains(got, "master") {
		t.Error(got)
	}
	nowhere := want
	nowhere.Interface = "nowhere0"
	if err := s.Start(t.Context(), nowhere); !errors.Is(err, errSyncInterface) {
		t.Errorf("%v, want %v", err, errSyncInterface)
	}
}

// A daemon that IPVS lists is decoded as it was encoded; other bytes give no daemon, or an error.
func TestDecodeSyncDaemon(t *testing.T) {
	want := kernel.SyncDaemon{
		Role: kernel.SyncBackup, Interface: "eth0", ID: 255, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1, MaxLen: 1472,
	}
	if got, err := decodeSyncDaemon(encodeSyncDaemon(want).Serialize()); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := decodeSyncDaemon(nil); err != nil || got.Role != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeSyncDaemon([]byte{9, 0, 3, 0, 1}); !errors.Is(err, errMalformed) {
		t.Errorf("%v, want %v", err, errMalformed)
	}
}
