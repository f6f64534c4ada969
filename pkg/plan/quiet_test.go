package plan

import (
	"fmt"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestQuiet: the virtual addresses of TCP are quiet with connection synchronization, and all if a mark may be for any of them.
func TestQuiet(t *testing.T) {
	two := func() *config.Config {
		cfg := file("a@eth0/51=10.77.0.100,10.77.0.101", "b@eth0/52=10.77.0.102", "mysql@10.77.0.101:db1", "dns@10.77.0.102:db1", "other@10.77.0.9:db1")
		for n := range cfg.VirtualServers {
			cfg.VirtualServers[n].Protocol = "tcp"
		}
		cfg.VirtualServers[1].Protocol = "udp"
		cfg.ConnectionSync = &config.ConnectionSync{}
		return cfg
	}
	without, marked := two(), two()
	without.ConnectionSync = nil
	marked.VirtualServers[2] = config.VirtualServer{Name: "marked", Mark: 5, RealServers: marked.VirtualServers[2].RealServers}
	for name, tt := range map[string]struct {
		cfg  *config.Config
		want string
	}{
		"without synchronization": {without, "map[]"},
		"tcp and udp":             {two(), "map[eth0/IPv4/1:[10.77.0.101] eth0/IPv4/2:[]]"},
		"mark":                    {marked, "map[eth0/IPv4/1:[10.77.0.100 10.77.0.101] eth0/IPv4/2:[10.77.0.102]]"},
	} {
		if got := fmt.Sprint(Of(inputs(tt.cfg)).Quiet.Addresses); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
