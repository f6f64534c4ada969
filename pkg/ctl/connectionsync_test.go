package ctl

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestConnectionSyncHead: what the status says first about the synchronization of connections.
func TestConnectionSyncHead(t *testing.T) {
	for want, c := range map[string]*status.ConnectionSync{
		"": nil, "  cold  0 held": {}, "  warm  0 held": {Warm: true}, "  no MASTER to learn from  0 held": {NoMaster: true},
	} {
		var b strings.Builder
		printConnectionSync(&b, c, time.Time{})
		if !strings.Contains(b.String(), want) || c == nil && b.Len() > 0 {
			t.Errorf("%q: %q", want, b.String())
		}
	}
}
