package config

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenamed(t *testing.T) {
	file := func(instance, service, server string) *Config {
		return &Config{
			Instances: []Instance{{Name: instance, Interface: "eth0", VRID: 51}, {Name: "other", Interface: "eth1", VRID: 51}},
			VirtualServers: []VirtualServer{{
				Name: service, Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306,
				RealServers: []RealServer{{Name: server, Address: netip.MustParseAddr("10.77.0.11"), Port: 3306}, {Name: "same", Address: netip.MustParseAddr("10.77.0.12"), Port: 3306}},
			}},
		}
	}
	moved := file("a", "mysql", "one")
	moved.Instances[0].VRID, moved.VirtualServers[0].Port = 52, 3307
	for name, tt := range map[string]struct {
		after *Config
		want  map[string]string
	}{
		"nothing":           {file("a", "mysql", "one"), map[string]string{}},
		"an instance":       {file("b", "mysql", "one"), map[string]string{"a": "b"}},
		"a virtual server":  {file("a", "db", "one"), map[string]string{"mysql": "db", "mysql/one": "db/one", "mysql/same": "db/same"}},
		"a real server":     {file("a", "mysql", "two"), map[string]string{"mysql/one": "mysql/two"}},
		"others of a place": {moved, map[string]string{}},
	} {
		if diff := cmp.Diff(tt.want, Renamed(file("a", "mysql", "one"), tt.after)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
