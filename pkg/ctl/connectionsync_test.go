package ctl

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestConnectionSyncHead: what the status says first about the synchronization of connections.
func TestConnectionSyncHead(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	before := now.Add(-3 * time.Minute)
	for want, c := range map[string]*status.ConnectionSync{
		"": nil, "  cold  0 held": {ReadAt: &now}, "  warm  0 held": {Warm: true, ReadAt: &now},
		"  no MASTER to learn from  0 held": {NoMaster: true, ReadAt: &now}, "  cold  connections not counted yet  0 sent": {},
		"0 lacking  counted 3m ago, which took 9.5s  0 sent": {ReadAt: &before, ReadingSeconds: 9.5},
		"?\t?\t?": {Peers: []status.SyncPeer{{Director: true, Uncounted: true}}},
	} {
		var b strings.Builder
		printConnectionSync(&b, c, now)
		if !strings.Contains(b.String(), want) || c == nil && b.Len() > 0 {
			t.Errorf("%q: %q", want, b.String())
		}
	}
}
