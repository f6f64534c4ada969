package director

import (
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

func TestServes(t *testing.T) {
	vip := netip.MustParseAddr("10.77.0.100")
	reads := config.VirtualServer{Name: "reads", Protocol: "tcp", Address: vip, Port: 3307}
	writes := config.VirtualServer{Name: "writes", Protocol: "tcp", Address: vip, Port: 3306}
	one := []lvs.Server{{Address: netip.MustParseAddr("10.77.0.11"), Port: 3306, Weight: 0}}
	tests := []struct {
		name  string
		table []lvs.Service
		want  bool
	}{
		{"no table", nil, false},
		{"empty pools", []lvs.Service{{Key: lvs.KeyOf(reads)}, {Key: lvs.KeyOf(writes)}}, false},
		{"one of two has a server", []lvs.Service{{Key: lvs.KeyOf(reads)}, {Key: lvs.KeyOf(writes), Servers: one}}, true},
		{"somebody else's service", []lvs.Service{{Key: lvs.Key{Protocol: "tcp", Address: vip, Port: 80}, Servers: one}}, false},
	}
	for _, tt := range tests {
		if got := serves([]config.VirtualServer{reads, writes}, tt.table); got != tt.want {
			t.Errorf("%s: serves %t, want %t", tt.name, got, tt.want)
		}
	}
}
