package statefile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
)

// TestOverridesAreKept: by the next run, also in another boot, and those of a newer version are left out.
func TestOverridesAreKept(t *testing.T) {
	dir := t.TempDir()
	l := openState(t, dir)
	target := override.Target{Service: "mysql", Server: "mysql1"}
	set, _ := override.Set{}.Put(override.Override{Target: target, Kind: override.Drain, Author: "alice", Reason: "upgrade"}, "lvs-master", time.Now())
	set, _ = set.Put(override.Override{Target: override.Target{Server: "mysql2"}, Kind: override.Weight, Weight: 7, Author: "bob", Until: time.Now().Add(time.Hour)}, "lvs-master", time.Now())
	must(t, l.SetOverrides(set))
	must(t, l.RecordSysctl(Sysctl{"k", "0", "1"}))
	l = reopen(t, l)
	if got := l.Overrides(); !slices.Equal(got.All(), set.All()) {
		t.Errorf("after a restart: %+v, want %+v", got.All(), set.All())
	}
	must(t, l.Close())
	path := filepath.Join(dir, fileName)
	text, err := os.ReadFile(path)
	must(t, err)
	other := strings.Replace(string(text), l.content.BootID, "57910aff-0000-43cf-ba64-0d33e7c26278", 1)
	other = strings.Replace(other, `"overrides": [`, `"overrides": [{"target": {"server": "a"}, "kind": "upside down", "since": "2026-01-01T00:00:00Z"}, 5,`, 1)
	must(t, os.WriteFile(path, []byte(other), 0o600))
	l = openState(t, dir)
	if got := l.Overrides(); !slices.Equal(got.All(), set.All()) || len(l.Sysctls()) != 0 || l.Warning() != "" {
		t.Errorf("after a reboot: %+v, want %+v; %v, %q", got.All(), set.All(), l.Sysctls(), l.Warning())
	}
	must(t, l.SetOverrides(override.Set{}))
	if got := reopen(t, l).Overrides(); len(got.All()) != 0 {
		t.Errorf("at the end: %+v", got.All())
	}
}
