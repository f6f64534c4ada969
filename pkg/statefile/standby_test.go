package statefile

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestOnStandbyIsKept: by the next run, also in another boot; invalid entries are left out; and what was noted before a file could be
// read replaces that of the file.
func TestOnStandbyIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	server := netip.MustParseAddrPort("10.77.0.12:3306")
	one := lvs.OnStandby{Service: lvs.Key{Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306}, Server: server}
	two := lvs.OnStandby{Service: lvs.Marked(one.Service.Family(), 5), Server: server}
	l := openState(t, dir)
	l.NoteOnStandby([]lvs.OnStandby{one, two})
	must(t, l.Keep())
	l = reopen(t, l)
	want := []lvs.OnStandby{two, one}
	if got := l.OnStandby(); !slices.Equal(got, want) {
		t.Fatalf("after a restart: %v, want %v", got, want)
	}
	must(t, l.Close())
	text, err := os.ReadFile(path)
	must(t, err)
	other := strings.Replace(string(text), l.content.BootID, "57910aff-0000-43cf-ba64-0d33e7c26278", 1)
	other = strings.Replace(other, `"on_standby": [`, `"on_standby": [{"protocol": "tcp", "address": "10.77.0.100", "port": 3306}, {"server": "10.77.0.12:3306"}, 5,`, 1)
	must(t, os.WriteFile(path, []byte(other), 0o600))
	l = openState(t, dir)
	if got := l.OnStandby(); !slices.Equal(got, want) || l.Warning() != "" {
		t.Errorf("after a reboot: %v, want %v; %q", got, want, l.Warning())
	}
	l.NoteOnStandby(nil)
	must(t, l.Keep())
	if got := reopen(t, l).OnStandby(); len(got) != 0 {
		t.Errorf("at the end: %v", got)
	}

	found := content{OnStandby: onStandby{one}}
	if found.add(content{}) || !slices.Equal(found.OnStandby, onStandby{one}) {
		t.Errorf("nothing was noted before: %v", found.OnStandby)
	}
	if !found.add(content{OnStandby: onStandby{}}) || len(found.OnStandby) != 0 {
		t.Errorf("none was noted before: %v", found.OnStandby)
	}
}
