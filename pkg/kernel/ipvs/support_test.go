package ipvs

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestAsk: what entries show is unknown without any, and known with one real server, also behind services without one. Asking
// changes nothing.
func TestAsk(t *testing.T) {
	table := openTable(t)
	ask := func() Support {
		t.Helper()
		s, err := Ask(within(t, 5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	empty := ask()
	if empty.IPv6 != kernel.Present || empty.Stats64 != kernel.Unknown || empty.Tunnels != kernel.Unknown || empty.SyncOptions != kernel.Unknown || empty.Version == "" || empty.ConnTableSize == 0 {
		t.Errorf("with an empty table: %+v", empty)
	}
	want := []lvs.Service{service(1, "rr"), service(2, "rr", server("10.77.0.11", config.DR, 1))}
	become(t, table, want)
	full := ask()
	if full.IPv6 != kernel.Present || full.Stats64 != kernel.Present || full.Tunnels != kernel.Present {
		t.Errorf("with entries: %+v", full)
	}
	for n := range uint16(sampled + 3) {
		want = append(want, service(10+n, "rr"))
	}
	become(t, table, want)
	if many := ask(); many != full {
		t.Errorf("with more services than are looked at: %+v, want %+v", many, full)
	}
	if got := read(t, table); len(got) != len(want) {
		t.Errorf("there are %d services, want %d", len(got), len(want))
	}
}
