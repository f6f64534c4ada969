package plan

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestReturnPath: the real servers of IPv6 with forward: nat, of both files during a reload, each once.
func TestReturnPath(t *testing.T) {
	server := func(address string, by config.Forward) config.RealServer {
		return config.RealServer{Address: netip.MustParseAddr(address), Forward: by}
	}
	file := func(servers ...config.RealServer) *config.Config {
		return &config.Config{VirtualServers: []config.VirtualServer{{Forward: config.DR, RealServers: servers}, {Forward: config.NAT, RealServers: servers[:1]}}}
	}
	for _, tt := range []struct {
		name  string
		files []*config.Config
		want  string
	}{
		{"IPv4", []*config.Config{file(server("10.77.0.11", config.NAT))}, "[]"},
		{"another method", []*config.Config{file(server("fd00::11", config.DR), server("fd00::12", config.TUN), server("fd00::13", ""))}, "[]"},
		{"the virtual server's", []*config.Config{file(server("fd00::11", ""))}, "[fd00::11]"},
		{"its own, twice", []*config.Config{file(server("fd00::12", config.NAT), server("fd00::11", config.NAT))}, "[fd00::11 fd00::12]"},
		{"a reload", []*config.Config{file(server("fd00::12", config.NAT)), file(server("fd00::11", config.NAT))}, "[fd00::11 fd00::12]"},
	} {
		got := returnPathBy(tt.files)
		if text := fmt.Sprint(got.Unredirected); text != tt.want || got.None() != (tt.want == "[]") {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
}
